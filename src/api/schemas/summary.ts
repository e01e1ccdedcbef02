// The schema of what is known of a node in short: some 1 kB, however many nodes and pods there are. Who watches many nodes asks for it again and again.
import { array, boolean, exactOptional, number, object, picklist, string } from 'valibot'
import { datapathNames } from '#/model/datapath.ts'
import { about, type ValueOf } from '../value.ts'
import { probePaths, probeStates } from './peers.ts'
import { problem } from './problem.ts'

const count = object({ up: number(), total: number() })

const pair = object({
  to: about(string(), 'the other node'),
  state: about(picklist(probeStates), 'of the worst of the ways there'),
  worst: exactOptional(
    about(
      object({ path: picklist(probePaths), family: picklist([4, 6]) }),
      'which of them that is, where they are not all in the same state',
    ),
  ),
  sinceMs: about(number(), 'since when that one is so, ms since 1970'),
  way: about(picklist(['vxlan', 'native', 'direct']), 'of packets of pods; direct: only nodes themselves are probed'),
  rttMs: exactOptional(about(number(), 'the median of that way, or of the one of pods where all are alike')),
  lossShare: exactOptional(about(number(), 'of small packets on that way, 0 to 1; absent where none were lost')),
})

export const nodeSummary = object({
  node: string(),
  version: about(string(), 'of the agent'),
  zone: exactOptional(about(string(), 'the label topology.kubernetes.io/zone')),
  rack: exactOptional(about(string(), 'the label causeway.dev/rack, else topology.kubernetes.io/rack')),
  addrs: about(array(string()), 'by which other nodes reach this one'),
  podCIDRs: array(string()),
  readiness: picklist(['not ready', 'ready with problems', 'ready']),
  observes: exactOptional(about(string(), 'whose network the node has, where an observer answers')),
  datapath: exactOptional(about(picklist(datapathNames), 'which pods have; absent while that is not known')),
  pods: about(number(), 'how many pods of this node have a network of their own'),
  addresses: exactOptional(
    about(
      object({ cidr: string(), used: number(), total: number() }),
      'of the pod CIDR with the fewest free addresses; used: also those that cool down',
    ),
  ),
  crossings: about(
    object({ vxlan: number(), native: number(), none: number() }),
    'how many pod CIDRs of other nodes are reached by which way',
  ),
  bgp: exactOptional(about(count, 'sessions that are established, of all; absent without BGP')),
  policies: exactOptional(
    about(
      object({
        state: picklist(['waiting', 'off', 'enforced', 'failing']),
        selecting: about(number(), 'how many policies select pods of this node'),
      }),
      'network policies',
    ),
  ),
  isApiLost: exactOptional(about(boolean(), 'the agent does not hear from the Kubernetes API now')),
  pairs: about(array(pair), 'the nodes that this one probes, sorted'),
  problems: about(array(problem), 'the first 20'),
  moreProblems: exactOptional(about(number(), 'how many others there are')),
})

export type NodeSummary = ValueOf<typeof nodeSummary>
export type SummaryPair = NodeSummary['pairs'][number]
