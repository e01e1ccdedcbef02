// The schema of an agent's status: itself, and every object that it keeps in its kernel.
import { array, boolean, exactOptional, number, object, picklist, string } from 'valibot'
import { datapathNames } from '#/model/datapath.ts'
import { endpointStates } from '#/model/endpoint.ts'
import { about, moment, type ValueOf } from '../value.ts'
import { waysStatus } from './peers.ts'
import { problem } from './problem.ts'

const endpointStatus = object({
  pod: about(string(), 'NAMESPACE/NAME'),
  containerId: string(),
  ifName: about(string(), "the device in the pod's namespace"),
  hostDevice: about(string(), "the device's other end, on the node"),
  addrs: array(string()),
  state: about(picklist(endpointStates), 'ready once its ADD is answered, leaving once its DEL has begun'),
  datapath: about(string(), 'by which it is wired'),
  podUid: exactOptional(about(string(), 'where the runtime told it')),
})

const objectStatus = object({
  kind: string(),
  key: string(),
  state: picklist(['done', 'error']),
  message: exactOptional(about(string(), "the kernel's words, when state is error")),
  remedy: exactOptional(about(string(), 'what to do, where that is known; safe to follow')),
  sinceMs: about(moment(), 'since when it is in this state, ms since 1970'),
  isTold: exactOptional(about(boolean(), 'another problem tells why')),
  attempts: about(number(), 'how often it failed in a row'),
})

/** Whether the node is ready: /readyz, the condition of the Node object and the CNI command STATUS say the same. */
const readiness = object({
  state: about(
    picklist(['not ready', 'ready with problems', 'ready']),
    'with problems: pods can be sent here, and something is to be seen to',
  ),
  reasons: about(array(problem), 'why it is not ready; none when it is'),
})

const tunnel = object({
  src: about(string(), 'the end on this node'),
  dst: about(string(), 'the end on the other node'),
  gateway: about(string(), 'the next hop of the route, which stands for the other end'),
  vtepMac: exactOptional(about(string(), 'of the other end, where it has one of its own')),
})

/** The plan's verdict about one pod CIDR of another node. */
const verdict = object({
  podCIDR: string(),
  node: about(string(), 'whose it is'),
  way: picklist(['vxlan', 'native', 'none']),
  reason: about(string(), 'why this way and no other'),
  mtuBytes: exactOptional(about(number(), 'the largest packet that goes this way whole')),
  tunnel: exactOptional(about(tunnel, 'when way is vxlan')),
  origin: exactOptional(about(picklist(['bgp', 'direct']), 'who tells of a native way')),
  nextHops: exactOptional(
    about(array(object({ device: string(), gateway: string() })), 'equal paths, when way is native'),
  ),
})

/** The state of the agent's watch of Node objects. */
const clusterWatch = object({
  phase: picklist(['listing', 'watching', 'backoff']),
  lastError: exactOptional(
    about(string(), 'why it is in backoff, or was last; absent once a watch has proven healthy'),
  ),
  lastEventAtMs: exactOptional(about(moment(), 'when the last event came, bookmarks included, ms since 1970')),
  resourceVersion: exactOptional(string()),
  restarts: about(number(), 'how often a watch or list was begun anew after the first'),
  inSync: about(boolean(), 'whether all nodes have been seen once'),
  nodes: about(number(), 'how many nodes are known'),
})

const datapath = object({
  wanted: about(picklist(datapathNames), 'which pods of this node are to have'),
  wantedBy: about(string(), 'where that is set'),
  name: exactOptional(about(picklist(datapathNames), 'which they have; absent while that is not known')),
  why: exactOptional(about(string(), 'why it is not the wanted one')),
})

const policy = object({
  state: about(
    picklist(['waiting', 'off', 'enforced', 'failing']),
    'off: the cluster has no policy; failing: pods keep the rules that they had; waiting: not everything is known yet, and rules of before stay',
  ),
  why: exactOptional(about(string(), 'what is waited for, or what fails')),
  sinceMs: exactOptional(about(moment(), 'since when it is so, ms since 1970')),
  policies: about(number(), 'how many policies the cluster has'),
  selecting: about(number(), 'how many of them select pods of this node'),
})

const observed = object({
  network: about(picklist(['flannel']), 'which the pods of the node have'),
  backend: about(string(), 'as flannel tells it; "none" where it tells nothing'),
  vni: about(number(), 'of its VXLAN network'),
  port: about(number(), "the UDP port of the node's tunnel"),
  podDevice: about(string(), 'the bridge of pods'),
})

export const agentStatus = object({
  node: string(),
  pid: number(),
  podCIDRs: array(string()),
  readiness: about(readiness, 'whether the node is ready for pods'),
  observes: exactOptional(
    about(observed, 'where an observer answers: whose network the node has, of which it changes nothing'),
  ),
  datapath: exactOptional(about(datapath, 'what carries packets of pods; absent from agents of earlier releases')),
  api: about(clusterWatch, 'the watch of the Kubernetes API'),
  policy: exactOptional(about(policy, 'network policies; absent from agents of earlier releases')),
  ways: exactOptional(
    about(waysStatus, 'whether packets arrive at other nodes, by probes; absent from agents of earlier releases'),
  ),
  objects: about(array(objectStatus), 'every object that is wanted in the kernel'),
  verdicts: about(array(verdict), 'which way packets go to each pod CIDR of another node, and why; sorted'),
  endpoints: about(array(endpointStatus), 'the interfaces of the pods of this node'),
  problems: array(problem),
})

export type AgentStatus = ValueOf<typeof agentStatus>
export type VerdictStatus = AgentStatus['verdicts'][number]
export type EndpointStatus = AgentStatus['endpoints'][number]
