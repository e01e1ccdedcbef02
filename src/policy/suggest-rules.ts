// Changes of policies: a rule more or less, a port more, a new policy. What is offered as text is read back by the readers, so that it is
// just what the evaluator judges.
import { stringify } from 'yaml'
import { type KubeObject } from '#/model/kubernetes.ts'
import { type Candidate, type SuggestedChange } from './change.ts'
import { type PolicyView } from './cluster.ts'
import {
  type ActionName,
  clusterNetworkPolicy,
  clusterRule,
  networkPolicy,
  networkPolicyRule,
  patchCommand,
  type PatchStep,
  portOf,
} from './manifest.ts'
import { type Ends, matchesPeer } from './match.ts'
import { type Direction, type Policy, type PolicyReading, type PolicyRule, type RuleRef } from './policy.ts'
import { readClusterNetworkPolicy } from './read-cluster-network-policy.ts'
import { readNetworkPolicy } from './read-network-policy.ts'
import { type PolicyPacket } from './verdict.ts'
import { targetText } from './words.ts'

/** What a packet and the direction in which it is looked at have. */
export type Case = {
  readonly view: PolicyView
  readonly packet: PolicyPacket
  readonly ends: Ends
  readonly direction: Direction
}

const protocolsNote = 'rules with ports mean TCP, UDP and SCTP alone, so this one is for all protocols'
const labelsNote = 'it means all pods that have these labels'

/** What a rule for the packet and its other end has beside. */
function notesOf({ packet, ends }: Case, ...notes: readonly string[]): { readonly note?: string } {
  const all = [
    ...notes,
    ...(ends.other.pod === undefined ? [] : [labelsNote]),
    ...(portOf(packet) === undefined ? [protocolsNote] : []),
  ]
  return all.length === 0 ? {} : { note: all.join('; ') }
}

/** The policy with a rule more, which gets the place `index`. */
function withRule(policy: Policy, direction: Direction, rule: PolicyRule, index: number): Policy {
  const rules = (policy.rules[direction] ?? []).toSpliced(index, 0, rule)
  return withRules(policy, direction, rules)
}

function withRules(policy: Policy, direction: Direction, rules: readonly PolicyRule[]): Policy {
  return { ...policy, rules: { ...policy.rules, [direction]: rules.map((each, index) => ({ ...each, index })) } }
}

/** The policy of an object that is read without a fault. */
function wholeOf({ policy, faults }: PolicyReading): Policy | undefined {
  return faults.length === 0 ? policy : undefined
}

/** A port more for rules of NetworkPolicies that mean the other end. */
export function portChanges({ view, packet, ends, direction }: Case, policies: readonly Policy[]): Candidate[] {
  const port = portOf(packet)
  if (port === undefined || packet.port === undefined) return []
  const { protocol } = port
  const match = { kind: 'range', protocol, first: packet.port, last: packet.port } as const
  return policies.flatMap((policy) =>
    (policy.rules[direction] ?? []).flatMap((rule, index): Candidate[] => {
      const { peers, ports } = rule
      const isPeer = peers === 'any' || peers.some((peer) => matchesPeer(peer, ends.other, view.namespaces))
      if (!isPeer || ports === 'any') return []
      const rules = (policy.rules[direction] ?? []).with(index, { ...rule, ports: [...ports, match] })
      const step: PatchStep = { op: 'add', path: `/spec/${direction}/${index}/ports/-`, value: port }
      return [
        {
          size: 2,
          change: {
            what: `add ${targetText(packet)} to spec.${direction}[${index}].ports of ${policy.key}`,
            command: patchCommand(policy.key, step),
            yaml: stringify([port]),
          },
          changed: { policy: withRules(policy, direction, rules) },
        },
      ]
    }),
  )
}

/** A rule more for a NetworkPolicy. */
export function addedRule(given: Case, policy: Policy): Candidate[] {
  const { packet, ends, direction } = given
  const { namespace } = ends.own
  const rule = networkPolicyRule(namespace, direction, packet, ends.other)
  const read = wholeOf(readNetworkPolicy(networkPolicy(ends.own, direction, [rule])))?.rules[direction]?.[0]
  if (read === undefined) return []
  const count = policy.rules[direction]?.length ?? 0
  // a list that is empty may be absent in the object
  const step: PatchStep =
    count === 0
      ? { op: 'add', path: `/spec/${direction}`, value: [rule] }
      : { op: 'add', path: `/spec/${direction}/-`, value: rule }
  return [
    {
      size: 5,
      change: {
        what: `add a rule to spec.${direction} of ${policy.key}`,
        ...notesOf(given),
        command: patchCommand(policy.key, step),
        yaml: stringify([rule]),
      },
      changed: { policy: withRule(policy, direction, read, count) },
    },
  ]
}

/** The rule of a ClusterNetworkPolicy before which one with the action is inserted. */
export function insertedRule(given: Case, action: ActionName, before: RuleRef): Candidate[] {
  const { view, packet, ends, direction } = given
  const policy = view.policies.get(before.policy)
  const rule = clusterRule(action, direction, packet, ends.other)
  if (policy === undefined || rule === undefined) return []
  const read = wholeOf(readClusterNetworkPolicy(clusterNetworkPolicy(ends.own, direction, ends.other, rule)))
  const readRule = read?.rules[direction]?.[0]
  if (readRule === undefined) return []
  const { index } = before
  return [
    {
      size: action === 'Accept' ? 6 : 5,
      change: {
        what: `insert ${action === 'Accept' ? 'an' : 'a'} ${action} rule before spec.${direction}[${index}] of ${policy.key}`,
        ...notesOf(given),
        command: patchCommand(policy.key, { op: 'add', path: `/spec/${direction}/${index}`, value: rule }),
        yaml: stringify([rule]),
      },
      changed: { policy: withRule(policy, direction, readRule, index) },
    },
  ]
}

/** The policy without the rule that decided. */
export function removedRule({ view, direction }: Case, { policy: key, index }: RuleRef): Candidate[] {
  const policy = view.policies.get(key)
  const rule = policy?.rules[direction]?.[index]
  if (policy === undefined || rule === undefined) return []
  const rules = (policy.rules[direction] ?? []).toSpliced(index, 1)
  const isDenial = rule.action === 'deny'
  return [
    {
      // to end a denial opens more than a rule for one peer does
      size: isDenial ? 8 : 4,
      change: {
        what: `remove spec.${direction}[${index}] from ${key}`,
        note: `this ends all that the rule ${isDenial ? 'denies' : 'allows'}`,
        command: patchCommand(key, { op: 'remove', path: `/spec/${direction}/${index}` }),
      },
      changed: { policy: withRules(policy, direction, rules) },
    },
  ]
}

/** The object under a name that no other has. */
function withFreeName(object: KubeObject, read: (object: KubeObject) => PolicyReading, view: PolicyView): KubeObject {
  const keyOf = (named: KubeObject): string => read(named).policy?.key ?? ''
  let named = object
  for (let count = 2; view.policies.has(keyOf(named)); count++)
    named = { ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-${count}` } }
  return named
}

function applied(
  view: PolicyView,
  object: KubeObject,
  read: (object: KubeObject) => PolicyReading,
  { size, what, note }: Pick<Candidate, 'size'> & Pick<SuggestedChange, 'what' | 'note'>,
): Candidate[] {
  const named = withFreeName(object, read, view)
  const policy = wholeOf(read(named))
  if (policy === undefined) return []
  return [
    {
      size,
      change: { what, ...(note !== undefined && { note }), command: 'kubectl apply -f -', yaml: stringify(named) },
      changed: { policy },
    },
  ]
}

/** A new ClusterNetworkPolicy that denies just this. */
export function newDenial(given: Case): Candidate[] {
  const { view, packet, ends, direction } = given
  const rule = clusterRule('Deny', direction, packet, ends.other)
  if (rule === undefined) return []
  const object = clusterNetworkPolicy(ends.own, direction, ends.other, rule)
  const notes = notesOf(given, 'it denies nothing else')
  return applied(view, object, readClusterNetworkPolicy, { size: 6, what: 'apply a ClusterNetworkPolicy', ...notes })
}

/** A new NetworkPolicy for the pod, which isolates it: with a rule for this packet, or with none. */
export function newIsolation(given: Case, isAllowed: boolean): Candidate[] {
  const { view, packet, ends, direction } = given
  const { own, other } = ends
  const rules = isAllowed ? [networkPolicyRule(own.namespace, direction, packet, other)] : []
  const what = direction === 'ingress' ? 'received by' : 'sent by'
  const cost = `all else that is ${what} pods with these labels is denied then, unless another NetworkPolicy allows it`
  const notes = isAllowed ? notesOf(given, cost) : { note: cost }
  const object = networkPolicy(own, direction, rules)
  return applied(view, object, readNetworkPolicy, { size: 7, what: 'apply a NetworkPolicy', ...notes })
}
