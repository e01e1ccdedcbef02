// The problems of the eBPF datapath (32xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

const fromMap = "the kernel's answer when the agent read the map or wrote to it"
const fromDrops =
  'the counters of dropped packets, which the agent reads every ten seconds; the problem is gone after five minutes without'

export const ebpfProblemCatalogue = {
  CW3201: {
    title: 'The eBPF datapath cannot be used on this node',
    about: 'kernel',
    how: 'the attempt to load and pin the programs, which is made again once a minute',
    remedy:
      'give the node what the message names; until then its pods have the bridge, which reaches the same; to keep the bridge, set the annotation causeway.dev/datapath of the Node object to bridge',
  },
  CW3202: {
    title: 'Programs of the eBPF datapath cannot be kept as they should be',
    about: 'kernel',
    how: "the kernel's answer when the agent pinned programs and maps, or removed those of an earlier version",
    remedy: 'see what the message names: bpftool prog show, bpftool link show; the agent tries again by itself',
  },
  CW3203: {
    title: 'Programs of the eBPF datapath do not know all pods of this node',
    about: 'kernel',
    how: fromMap,
    remedy:
      "see what the message names; the agent tries again by itself, and packets of pods without an entry take the way through the node's own network stack",
  },
  CW3204: {
    title: 'Programs of the eBPF datapath do not know all nodes',
    about: 'kernel',
    how: fromMap,
    remedy:
      "nothing is lost: packets to what has no entry take the way through the node's own network stack; a map that is full has room for 131,072 prefixes",
  },
  CW3205: {
    title: 'A program of the eBPF datapath is not attached',
    about: 'kernel',
    how: "the kernel's answer when the agent attached the program to the device, or detached it",
    remedy:
      "see what else is at that hook: bpftool net show, tc filter show dev DEVICE ingress; the agent tries again by itself, and packets take the way through the node's own network stack meanwhile",
  },
  CW3206: {
    title: 'Programs of the eBPF datapath do not know what policies deny',
    about: 'kernel',
    how: fromMap,
    remedy:
      "nothing gets through that a policy denies: the rules in the node's own network stack deny it; the agent tries again by itself",
  },
  CW3231: {
    title: 'A pod sends under a foreign name',
    about: 'pod',
    how: fromDrops,
    remedy: 'nothing of it has left the node; look in the pod for what sends it',
  },
  CW3232: {
    title: 'Packets come through the tunnel from a node that does not own their source',
    about: 'kernel',
    how: fromDrops,
    remedy:
      'nothing of it has reached a pod; see which node has that pod CIDR: kubectl get nodes; watch for who sends it: tcpdump -ni DEVICE on the underlay, for the port of the tunnel',
  },
  CW3233: {
    title: "A pod sends to nodes' tunnel port",
    about: 'pod',
    how: fromDrops,
    remedy: 'nothing of it has left the node; look in the pod for what sends it',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
