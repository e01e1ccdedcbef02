// Changes of labels that make a rule match the other end, or no longer match it.
import { type LabelSelector, selects } from '#/model/label-selector.ts'
import { type Candidate } from './change.ts'
import { type Labels, type PolicyPod, type PolicyView } from './cluster.ts'
import { policiesOf } from './evaluate.ts'
import { labelCommand, type LabelEdit, namespaceNameLabel } from './manifest.ts'
import { type Ends, matchesNamespace, matchesPeer, matchesPort } from './match.ts'
import { type Direction, type PeerMatch, type PolicyRule, type RuleRef, tiers } from './policy.ts'
import { type PolicyPacket } from './verdict.ts'
import { podText } from './words.ts'

type PodsPeer = PeerMatch & { kind: 'pods' }

/** The labels to edit so that the selector holds; undefined when no edit does it. */
function editsFor(selector: LabelSelector, labels: Labels): LabelEdit[] | undefined {
  const edits = new Map<string, LabelEdit>()
  let now = labels
  for (const requirement of selector) {
    if (selects([requirement], now)) continue
    const { key, operator, values } = requirement
    // the API server sets it, and takes no other
    if (key === namespaceNameLabel || (operator === 'In' && values[0] === undefined)) return undefined
    const value = operator === 'In' ? values[0] : operator === 'Exists' ? 'true' : undefined
    const edit: LabelEdit = { key, ...(value !== undefined && { value }) }
    edits.set(key, edit)
    now = edited(now, [edit])
  }
  return selects(selector, now) ? [...edits.values()] : undefined
}

function edited(labels: Labels, edits: readonly LabelEdit[]): Labels {
  const result = new Map(Object.entries(labels))
  for (const { key, value } of edits) {
    if (value === undefined) result.delete(key)
    else result.set(key, value)
  }
  return Object.fromEntries(result)
}

function editText({ key, value }: LabelEdit, labels: Labels, object: string): string {
  if (value === undefined) return `remove label ${key} from ${object}`
  const before = Object.hasOwn(labels, key) ? labels[key] : undefined
  if (before === undefined) return `add label ${key}=${value} to ${object}`
  return `change label ${key} of ${object} from ${before} to ${value}`
}

/** A label that was there may be the one by which a controller or a Service knows the pod. */
function sizeOf(edits: readonly LabelEdit[], labels: Labels): number {
  return edits.reduce((sum, { key }) => sum + (Object.hasOwn(labels, key) ? 3 : 1), 0)
}

const templateNote = 'a controller makes its pods from a template: change the label there too'
const ownerNote = 'a controller or Service may know the pod by this label'
const namespaceNote = 'all pods of the namespace get it'

/** How many times as much a label of a namespace touches as one of a pod. */
const namespaceWeight = 4

function candidateOf(view: PolicyView, pod: PolicyPod, peer: PodsPeer): Candidate | undefined {
  const podEdits = editsFor(peer.pods, pod.labels)
  const namespace = view.namespaces.get(pod.namespace)
  if (podEdits === undefined || namespace === undefined) return undefined
  const isIn = matchesNamespace(peer, pod.namespace, view.namespaces)
  const { namespaces } = peer
  const nsEdits = isIn ? [] : namespaces.kind === 'name' ? undefined : editsFor(namespaces.selector, namespace.labels)
  if (nsEdits === undefined || podEdits.length + nsEdits.length === 0) return undefined
  const texts = [
    ...podEdits.map((edit) => editText(edit, pod.labels, `pod ${podText(pod)}`)),
    ...nsEdits.map((edit) => editText(edit, namespace.labels, `namespace ${namespace.name}`)),
  ]
  const notes = [
    ...(podEdits.length > 0 ? [templateNote] : []),
    ...(podEdits.some(({ key }) => Object.hasOwn(pod.labels, key)) ? [ownerNote] : []),
    ...(nsEdits.length > 0 ? [namespaceNote] : []),
  ]
  const commands = [
    ...(podEdits.length > 0 ? [labelCommand(`pod ${pod.name} -n ${pod.namespace}`, podEdits)] : []),
    ...(nsEdits.length > 0 ? [labelCommand(`namespace ${namespace.name}`, nsEdits)] : []),
  ]
  return {
    size: sizeOf(podEdits, pod.labels) + namespaceWeight * sizeOf(nsEdits, namespace.labels),
    change: { what: texts.join(', and '), note: notes.join('; '), command: commands.join(' && ') },
    changed: {
      ...(podEdits.length > 0 && { pod: { ...pod, labels: edited(pod.labels, podEdits) } }),
      ...(nsEdits.length > 0 && { namespace: { ...namespace, labels: edited(namespace.labels, nsEdits) } }),
    },
  }
}

function podsPeersOf({ peers }: PolicyRule): readonly PodsPeer[] {
  return peers === 'any' ? [] : peers.filter((peer) => peer.kind === 'pods')
}

/** Labels by which a rule that allows, or passes on, would match the other end. */
export function labelChanges(view: PolicyView, packet: PolicyPacket, ends: Ends, direction: Direction): Candidate[] {
  const { own, other, receiver } = ends
  const { pod } = other
  if (pod === undefined || pod === own) return []
  const selecting = policiesOf(view, own)
  return tiers
    .flatMap((tier) => selecting[tier])
    .flatMap(({ rules }) => rules[direction] ?? [])
    .filter(
      ({ action, ports }) =>
        action !== 'deny' && (ports === 'any' || ports.some((port) => matchesPort(port, packet, receiver))),
    )
    .flatMap(podsPeersOf)
    .flatMap((peer) => candidateOf(view, pod, peer) ?? [])
}

/** Labels without which the rule that decided would not match the other end. */
export function unlabelChanges(view: PolicyView, { own, other }: Ends, ref: RuleRef): Candidate[] {
  const { pod } = other
  const rule = view.policies.get(ref.policy)?.rules[ref.direction]?.[ref.index]
  if (pod === undefined || pod === own || rule === undefined) return []
  const keys = podsPeersOf(rule)
    .filter((peer) => matchesPeer(peer, other, view.namespaces))
    .flatMap(({ pods }) => pods)
    .filter(({ operator }) => operator === 'In' || operator === 'Exists')
    .map(({ key }) => key)
  return [...new Set(keys)].map((key) => {
    const edits = [{ key }]
    return {
      size: sizeOf(edits, pod.labels),
      change: {
        what: editText({ key }, pod.labels, `pod ${podText(pod)}`),
        note: `${templateNote}; ${ownerNote}`,
        command: labelCommand(`pod ${pod.name} -n ${pod.namespace}`, edits),
      },
      changed: { pod: { ...pod, labels: edited(pod.labels, edits) } },
    }
  })
}
