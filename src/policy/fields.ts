// Reads fields of policies so strictly that nothing is missed which could narrow what a policy means: a field that this version does not
// know is a fault, not something to leave out.
import { Addr, Prefix } from '#/lib/addr.ts'
import { isFields } from '#/model/kubernetes.ts'
import { type LabelSelector, labelSelectorOf } from '#/model/label-selector.ts'
import { shown } from '#/model/spec-reader.ts'
import { type PolicyFault } from './policy.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Notes what is wrong at a path; undefined takes the place of the value. */
export type Refuse = (at: string, why: string) => undefined

/** Faults that all have the same consequence: "this peer matches nothing". */
export function refuser(faults: PolicyFault[], consequence: string): Refuse {
  return (field, why) => {
    faults.push({ field, why: `${why}; ${consequence}` })
    return undefined
  }
}

/** The fields of a mapping, without those that are null, which count as absent like in the API server. */
export function fieldsIn(value: unknown, at: string, known: readonly string[], refuse: Refuse): Fields | undefined {
  if (!isFields(value)) return refuse(at, `${shown(value)} is no mapping`)
  const present = Object.entries(value).filter((entry) => entry[1] !== null && entry[1] !== undefined)
  const unknown = present.find(([name]) => !known.includes(name))
  if (unknown !== undefined) return refuse(`${at}.${unknown[0]}`, `${shown(unknown[1])}: no field that is known here`)
  return Object.fromEntries(present)
}

/** The items of a list; none when it is absent. */
export function listIn(value: unknown, at: string, refuse: Refuse): readonly unknown[] | undefined {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : refuse(at, `${shown(value)} is no list`)
}

export function selectorIn(value: unknown, at: string, refuse: Refuse): LabelSelector | undefined {
  const fields = fieldsIn(value, at, ['matchLabels', 'matchExpressions'], refuse)
  const expressions = fields && listIn(fields['matchExpressions'], `${at}.matchExpressions`, refuse)
  const read = expressions?.map((each, index) =>
    fieldsIn(each, `${at}.matchExpressions[${index}]`, ['key', 'operator', 'values'], refuse),
  )
  if (read === undefined || read.includes(undefined)) return undefined
  const selector = labelSelectorOf({ ...fields, matchExpressions: read })
  return typeof selector === 'string' ? refuse(at, selector) : selector
}

/**
 * A CIDR as the API server takes it, which lets host bits be set and means the network. It warns of leading zeros and of IPv4 written as
 * IPv6; what they mean differs between implementations, so here they are no CIDR.
 */
export function cidrIn(value: unknown, at: string, refuse: Refuse): Prefix | undefined {
  const text = typeof value === 'string' ? value : ''
  const slash = text.indexOf('/')
  const addr = slash < 0 ? undefined : Addr.tryParse(text.slice(0, slash))
  const length = text.slice(slash + 1)
  if (addr === undefined || !/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > addr.bits)
    return refuse(at, `${shown(value)} is no CIDR`)
  if (addr.family === 6 && addr.isReserved) return refuse(at, `${shown(value)} is IPv4 written as IPv6`)
  return new Prefix(addr, Number(length))
}

export const maxPort = 65_535

export function portNumberIn(value: unknown, at: string, refuse: Refuse): number | undefined {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= maxPort) return value
  return refuse(at, `${shown(value)}: expected a whole number from 1 to ${maxPort}`)
}

/** A name as containers can give it to a port (IANA_SVC_NAME): another one would match nothing without a word. */
export function portNameIn(value: unknown, at: string, refuse: Refuse): string | undefined {
  const isName =
    typeof value === 'string' &&
    /^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/.test(value) &&
    /[a-z]/.test(value) &&
    !value.includes('--')
  return isName ? value : refuse(at, `${shown(value)}: no container can call its port so`)
}
