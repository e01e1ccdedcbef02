// The problems of the eBPF datapath (32xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

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
    title: 'A map of the eBPF datapath lacks entries',
    about: 'kernel',
    how: "the kernel's answer when the agent read the map or wrote to it",
    remedy:
      "nothing is lost: packets for which programs have no entry go through the node's own network stack; a map that is full has room for 131,072 nodes' prefixes or 4,096 pods' addresses",
  },
  CW3204: {
    title: 'A program of the eBPF datapath is not attached',
    about: 'kernel',
    how: "the kernel's answer when the agent attached the program to the device, or detached it",
    remedy:
      "see what else is at that hook: bpftool net show, tc filter show dev DEVICE ingress; the agent tries again by itself, and packets take the way through the node's own network stack meanwhile",
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
