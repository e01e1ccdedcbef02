// Which connections a change of the form may forbid. Pure: of the form as it is after the change. It may name too many, never too few.
import { type Addr } from '#/lib/addr.ts'
import {
  type ClassForm,
  type Form,
  type FormChange,
  type FormRule,
  type LocalPodForm,
  type Members,
} from '#/policy/form.ts'
import { directions, tiers } from '#/policy/policy.ts'
import { actionsOf, type ClassesBefore, classesOf } from './class-memory.ts'
import { mayForbid } from './class-move.ts'

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
function mayForbidBySets({ action, peers, ports }: FormRule, { fewer, more }: Changed): boolean {
  const sets = [...(peers === 'any' ? [] : peers), ...(ports === 'any' ? [] : ports.names)]
  return sets.some((id) => (action !== 'deny' && fewer.has(id)) || (action !== 'accept' && more.has(id)))
}

/** The addresses whose membership of a set has changed; `called` are those that call a port another name now. */
function movedAddrs({ members, namedPorts }: FormChange): {
  readonly moved: readonly Addr[]
  readonly called: readonly Addr[]
} {
  const moved = [...members.values()].flatMap(({ added, removed }) => [...added, ...removed])
  const ports = [...namedPorts.values()].flatMap(({ added, removed }) => [...added, ...removed])
  return { moved, called: ports.map(({ addr }) => addr) }
}

/** `before` is as it was before the change. Undefined when the change forbids nothing. */
export function touchedBy(form: Form, change: FormChange, before: ClassesBefore): Touched | undefined {
  const written = new Set([...change.policies].flatMap(([id, policy]) => (policy === undefined ? [] : [id])))
  const actions = { before: before.actionsOf, after: (id: string) => actionsOf(form.policies.get(id)) }
  const mayLose = (device: string, local: LocalPodForm): boolean => {
    // of a pod without a class nothing is denied
    if (local.ingress === undefined && local.egress === undefined) return false
    const known = before.podOf(device)
    // one that is new here may have the address of another one, whose connections are still tracked
    if (known === undefined || !isSamePod(known.local, local)) return true
    const now = classesOf(form, local)
    return directions.some((direction) => {
      const [had, has] = [known.classes[direction], now[direction]]
      return mayForbid(had, has, actions) || haveOneOf(written, had, has)
    })
  }
  const candidates = written.size > 0 ? form.locals : change.locals
  const losing = [...candidates].flatMap(([device, local]) => (local && mayLose(device, local) ? local.addrs : []))
  const { moved, called } = isMembershipInQuestion(form, change) ? movedAddrs(change) : { moved: [], called: [] }
  // whoever calls a pod of this node by that name
  const locals = [...losing, ...ofLocals(form, called)]
  const peers = [...moved, ...called]
  return locals.length + peers.length === 0 ? undefined : { locals, peers }
}

/** Whether both classes have one of the policies: then it is one whose rules are others now. */
function haveOneOf(written: ReadonlySet<string>, had: ClassForm | undefined, has: ClassForm | undefined): boolean {
  if (written.size === 0 || had === undefined || has === undefined) return false
  return tiers.some((tier) => has.policies[tier].some((id) => written.has(id) && had.policies[tier].includes(id)))
}

/** Those that are addresses of pods of this node. */
function ofLocals({ locals }: Form, addrs: readonly Addr[]): Addr[] {
  if (addrs.length === 0) return []
  const own = new Set([...locals.values()].flatMap((local) => local.addrs.map(String)))
  return addrs.filter((addr) => own.has(String(addr)))
}

function isSamePod(one: LocalPodForm, other: LocalPodForm): boolean {
  const isSameAddr = (addr: Addr, place: number): boolean => other.addrs[place]?.equals(addr) === true
  return one.pod === other.pod && one.addrs.length === other.addrs.length && one.addrs.every(isSameAddr)
}

function isMembershipInQuestion(form: Form, change: FormChange): boolean {
  const changed = changedSets(change)
  if (changed.fewer.size + changed.more.size === 0) return false
  for (const { tier, rules } of form.policies.values()) {
    // all rules of a NetworkPolicy accept: only fewer members may forbid anything
    if (tier === 'NetworkPolicy' && changed.fewer.size === 0) continue
    if (rules.some((rule) => mayForbidBySets(rule, changed))) return true
  }
  return false
}
