// Which connections a change of the form may forbid. Pure: of the form as it is after the change. It may name too many, never too few.
import { type Addr } from '#/lib/addr.ts'
import { type Form, type FormChange, type FormRule, type LocalPodForm, type Members } from '#/policy/form.ts'
import { directions, tiers } from '#/policy/policy.ts'

/** Addresses of pods of this node, all of whose connections are in question; and of others, in question is what they have with such pods. */
export type Touched = { readonly locals: readonly Addr[]; readonly peers: readonly Addr[] }

/** The ids of sets whose members are fewer, and of those whose members are more; a set can be in both. */
type Changed = { readonly fewer: ReadonlySet<string>; readonly more: ReadonlySet<string> }

function changedSets({ members, namedPorts }: FormChange): Changed {
  const all: readonly (readonly [string, Members<unknown>])[] = [...members, ...namedPorts]
  const idsWith = (which: keyof Members<unknown>): Set<string> =>
    new Set(all.flatMap(([id, each]) => (each[which].length > 0 ? [id] : [])))
  return { fewer: idsWith('removed'), more: idsWith('added') }
}

/** Whether the rule may let through less than before, or deny more. A `pass` may be either. */
function mayForbid({ action, peers, ports }: FormRule, { fewer, more }: Changed): boolean {
  const sets = [...(peers === 'any' ? [] : peers), ...(ports === 'any' ? [] : ports.names)]
  return sets.some((id) => (action !== 'deny' && fewer.has(id)) || (action !== 'accept' && more.has(id)))
}

function policiesOf(form: Form, local: LocalPodForm): readonly string[] {
  return directions.flatMap((direction) => {
    const id = local[direction]
    const found = id === undefined ? undefined : form.classes.get(id)
    return found === undefined ? [] : tiers.flatMap((tier) => found.policies[tier])
  })
}

/** The addresses whose membership of a set has changed. */
function movedAddrs({ members, namedPorts }: FormChange): Addr[] {
  const ofSets = [...members.values()].flatMap(({ added, removed }) => [...added, ...removed])
  const ofPorts = [...namedPorts.values()].flatMap(({ added, removed }) => [...added, ...removed])
  return [...ofSets, ...ofPorts.map(({ addr }) => addr)]
}

/** Undefined when the change forbids nothing. */
export function touchedBy(form: Form, change: FormChange): Touched | undefined {
  const locals = new Map<string, readonly Addr[]>()
  // of a pod without a class nothing is denied; one that is new may have the address of another one, whose connections are still tracked
  for (const [device, local] of change.locals)
    if (local?.ingress !== undefined || local?.egress !== undefined) locals.set(device, local.addrs)
  const written = new Set([...change.policies].flatMap(([id, policy]) => (policy === undefined ? [] : [id])))
  if (written.size > 0)
    for (const [device, local] of form.locals)
      if (policiesOf(form, local).some((id) => written.has(id))) locals.set(device, local.addrs)
  const peers = isMembershipInQuestion(form, change) ? movedAddrs(change) : []
  const all = [...locals.values()].flat()
  return all.length + peers.length === 0 ? undefined : { locals: all, peers }
}

function isMembershipInQuestion(form: Form, change: FormChange): boolean {
  const changed = changedSets(change)
  if (changed.fewer.size + changed.more.size === 0) return false
  for (const { rules } of form.policies.values()) if (rules.some((rule) => mayForbid(rule, changed))) return true
  return false
}
