// Names of sets, classes and policies: hashes over what they mean, so that whoever comes to the same meaning comes to the same name.
import { hash } from 'node:crypto'
import { type Prefix } from '#/lib/addr.ts'
import { type LabelSelector } from '#/model/label-selector.ts'
import { type ClassForm, type NamedPortSet } from '../form.ts'
import { type Direction, type PodMatch, tiers } from '../policy.ts'

/** 64 bits in 16 hex digits: enough for thousands of names, and short enough to be read in a listing of rules. */
export function idOf(meaning: unknown): string {
  return hash('sha256', JSON.stringify(meaning)).slice(0, 16)
}

/** Selectors that say the same in another order, or twice, become one. */
function canonicalSelector(selector: LabelSelector): readonly string[] {
  const texts = selector.map(({ key, operator, values }) =>
    JSON.stringify([key, operator, [...new Set(values)].sort()]),
  )
  return [...new Set(texts)].sort()
}

export function podsId({ namespaces, pods }: PodMatch): string {
  const where = namespaces.kind === 'name' ? namespaces.name : canonicalSelector(namespaces.selector)
  return idOf(['pods', where, canonicalSelector(pods)])
}

/** `prefixes` are canonical. */
export function blocksId(prefixes: readonly Prefix[]): string {
  return idOf(['blocks', ...prefixes])
}

export function namedPortsId({ name, protocol, isLocal }: Omit<NamedPortSet, 'id'>): string {
  return idOf(['ports', name, protocol, isLocal])
}

export function policyId(key: string, direction: Direction): string {
  return idOf(['policy', key, direction])
}

export function classId({ direction, policies, isAudited }: Omit<ClassForm, 'id'>): string {
  return idOf(['class', direction, isAudited, ...tiers.map((tier) => policies[tier])])
}
