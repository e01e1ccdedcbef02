// The schemas of the operations that show network policy on a node: what selects its pods, what decides about two ends, what was denied.
import { array, boolean, check, exactOptional, number, object, picklist, pipe, string } from 'valibot'
import { about, moment, type ValueOf } from '../value.ts'

const direction = picklist(['ingress', 'egress'])
const tier = picklist(['Admin', 'NetworkPolicy', 'Baseline'])
const action = picklist(['accept', 'deny', 'pass'])
const policyKey = about(string(), 'networkpolicy/NAMESPACE/NAME or clusternetworkpolicy/NAME')

const state = object({
  kind: about(
    picklist(['waiting', 'off', 'enforced', 'failing']),
    'waiting: not everything is known yet; off: the cluster has no policy; failing: rules cannot be written',
  ),
  why: exactOptional(about(string(), 'what it waits for, or the words of the kernel')),
  sinceMs: exactOptional(about(moment(), 'ms since 1970')),
})

const fault = object({
  field: about(string(), 'such as spec.ingress[0].from[1].ipBlock.cidr'),
  why: about(string(), 'why it cannot be enforced as written, and what that means for packets'),
})

const countedRule = object({
  direction,
  index: about(number(), 'its place: spec.ingress[index] or spec.egress[index]'),
  name: exactOptional(string()),
  action,
  text: about(string(), 'peers and ports in words'),
  connections: exactOptional(
    about(
      number(),
      'that it has decided about since the rules of this policy were last written; absent where no pod of this node needs the rule',
    ),
  ),
})

const listedPolicy = object({
  policy: policyKey,
  tier: exactOptional(about(tier, 'absent when nothing of it can be enforced')),
  priority: exactOptional(about(number(), 'of tiers Admin and Baseline')),
  subject: about(string(), 'which pods it selects, in words'),
  pods: about(number(), 'how many pods of the cluster it selects'),
  podsHere: about(number(), 'how many of this node'),
  rules: array(countedRule),
  faults: array(fault),
})

const podDirection = object({
  policies: about(array(string()), 'those that select the pod, in the order of evaluation'),
  class: about(string(), 'what pods with the same policies have in common; its chain has this name'),
  isAudited: boolean(),
  denied: exactOptional(about(number(), 'packets that the chain denied since it was made')),
})

const listedPod = object({
  pod: about(string(), 'NAMESPACE/NAME'),
  addrs: array(string()),
  ingress: exactOptional(about(podDirection, 'absent: nothing applies to what it receives')),
  egress: exactOptional(about(podDirection, 'absent: nothing applies to what it sends')),
})

export const policyListReport = object({
  node: string(),
  state,
  policies: about(array(listedPolicy), 'all of the cluster, sorted'),
  pods: about(array(listedPod), 'of this node'),
  auditedNamespaces: about(array(string()), 'in which packets that policies deny are let through'),
  refused: about(
    array(object({ why: string(), packets: number() })),
    'frames that would go round policies, by the reason: foreign source addresses, what no rule for IP sees',
  ),
})

/** As text: a query has nothing else. */
const portNumber = pipe(
  string(),
  check((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65_535, 'is no port: expected 0 to 65535'),
)

export const policyProtocols = ['tcp', 'udp', 'sctp', 'icmp'] as const

export const policyWhyRequest = object({
  from: about(string(), 'who sends: an address, NAMESPACE/NAME of a pod, a name of one, or the name of a node'),
  to: about(string(), 'who receives: the same'),
  port: exactOptional(about(portNumber, 'the destination port; absent: all ports are looked at')),
  protocol: exactOptional(about(picklist(policyProtocols), 'tcp where it is absent and a port is given')),
})

const labels = array(string())

const end = object({
  addr: string(),
  pod: exactOptional(about(string(), 'NAMESPACE/NAME of the pod that has the address and to which policies can apply')),
  node: exactOptional(about(string(), 'where the pod runs, or the node that has the address')),
  labels: exactOptional(about(labels, "the pod's, as KEY=VALUE")),
  namespaceLabels: exactOptional(labels),
})

const asked = object({ isMatch: boolean(), text: about(string(), 'what is asked for, and what was found') })

const toldRule = object({
  index: about(number(), 'its place: spec.ingress[index] or spec.egress[index]'),
  name: exactOptional(string()),
  action,
  isMatch: boolean(),
  peers: about(array(asked), 'of which one must match; none: any other end does'),
  ports: about(array(asked), 'of which one must match; none: any port does'),
})

const toldPolicy = object({
  policy: policyKey,
  tier,
  priority: exactOptional(about(number(), 'of tiers Admin and Baseline')),
  isAsked: about(boolean(), 'whether the evaluation came to it'),
  rules: array(toldRule),
})

const inKernel = object({
  isThere: about(boolean(), "whether the kernel has the pod's elements and the chain that they lead to"),
  text: about(string(), 'table, chain and what it has counted, or what is missing'),
  denied: exactOptional(about(number(), 'packets that the chain denied since it was made')),
})

const change = object({
  what: about(string(), 'in one line'),
  note: exactOptional(about(string(), 'what else comes of it')),
  command: exactOptional(about(string(), 'that makes the change')),
  yaml: exactOptional(about(string(), 'an object to apply, or the rule to add')),
})

const toldDirection = object({
  direction,
  pod: exactOptional(about(string(), 'whose policies these are; absent when the address is of no pod')),
  node: exactOptional(about(string(), "the pod's node, whose kernel enforces this direction")),
  decision: about(string(), 'what decides, in words'),
  decidedBy: exactOptional(about(string(), 'policy, direction and index of the rule, where one decides')),
  isDenied: boolean(),
  isAudited: about(boolean(), 'denied, but let through'),
  policies: about(array(toldPolicy), 'that select the pod for this direction, in the order of evaluation'),
  changes: about(
    array(change),
    'after which this direction has the opposite outcome, the smallest first; each was tried on a copy of what is known',
  ),
  kernel: exactOptional(about(inKernel, 'absent where the pod is of another node than the one that answers')),
})

const portRange = object({ first: number(), last: number() })

const openPorts = object({
  protocol: about(string(), 'TCP, UDP, SCTP, or one without ports: ICMP, ICMPv6'),
  ranges: exactOptional(about(array(portRange), 'that are allowed; absent where the protocol has no ports')),
  isAllowed: about(boolean(), 'whether any of it is'),
})

const toldPair = object({
  from: end,
  to: end,
  protocol: string(),
  port: exactOptional(number()),
  egress: toldDirection,
  ingress: toldDirection,
  isDropped: boolean(),
  ports: exactOptional(about(array(openPorts), 'what is allowed, where no port was asked for')),
})

export const policyWhyReport = object({
  node: about(string(), 'which answers'),
  state,
  pairs: about(array(toldPair), 'one for each family of which both ends have an address'),
})

const denial = object({
  lastMs: about(moment(), 'when the last of these packets came, ms since 1970'),
  firstMs: number(),
  packets: about(number(), 'that were told; the kernel tells 20 a second of each rule'),
  direction: about(direction, "egress: the sender's policies denied it; ingress: the receiver's"),
  src: string(),
  dst: string(),
  from: about(string(), 'NAMESPACE/NAME of a pod, node/NAME, or the address'),
  to: string(),
  protocol: about(string(), 'TCP, UDP, SCTP, ICMP, ICMPv6, or its number'),
  port: exactOptional(about(number(), 'the destination port')),
  by: about(string(), 'what decides, in words: policies and rule'),
  isAudited: about(boolean(), 'it would have been denied, and was let through'),
})

export const policyDenialsReport = object({
  node: string(),
  isListening: about(
    boolean(),
    'whether the kernel tells what it denies; it need not where no policy selects a pod of the node',
  ),
  why: exactOptional(about(string(), 'why it does not, though there are rules that may deny')),
  denials: about(
    array(denial),
    'by connection and reason, the latest first; those that came long ago make way for new ones',
  ),
  notTold: about(number(), 'packets that came too fast to be looked at, since the agent started'),
})

export const policyDenialsLine = object({
  kind: about(picklist(['denial', 'lost', 'end']), 'which of the fields below it has'),
  denial: exactOptional(denial),
  lost: exactOptional(about(number(), 'denials that are not told, since the reader is too slow')),
  end: exactOptional(about(string(), 'why the stream ends; the last line')),
})

export type PolicyListReport = ValueOf<typeof policyListReport>
export type ListedPolicy = PolicyListReport['policies'][number]
export type ListedPod = PolicyListReport['pods'][number]
export type PolicyStateReport = PolicyListReport['state']
export type PolicyWhyRequest = ValueOf<typeof policyWhyRequest>
export type PolicyWhyReport = ValueOf<typeof policyWhyReport>
export type ToldPair = PolicyWhyReport['pairs'][number]
export type ToldDirection = ToldPair['egress']
export type ToldEnd = ToldPair['from']
export type ToldPolicy = ToldDirection['policies'][number]
export type ToldRule = ToldPolicy['rules'][number]
export type ToldChange = ToldDirection['changes'][number]
export type OpenPortsReport = NonNullable<ToldPair['ports']>[number]
export type KernelReport = NonNullable<ToldDirection['kernel']>
export type PolicyDenialsReport = ValueOf<typeof policyDenialsReport>
export type Denial = PolicyDenialsReport['denials'][number]
export type PolicyDenialsLine = ValueOf<typeof policyDenialsLine>
