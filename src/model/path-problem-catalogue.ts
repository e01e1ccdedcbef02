// Problems of ways between nodes that only probes show. A part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

export const pathProblemCatalogue = {
  CW8101: {
    title: 'A way to a node carries small packets and loses large ones',
    about: 'node',
    how: 'probes of the full size to the node, which must not be fragmented and get no answer, while small ones do',
    remedy:
      'give every device and router between the nodes the MTU that the devices of nodes have, or set CAUSEWAY_MTU of all agents to what the path carries: "ping -M do -s SIZE ADDRESS" finds it, to which 28 bytes of headers are added, 48 with IPv6',
  },
  CW8102: {
    title: 'Packets to a node are lost in part',
    about: 'node',
    how: 'probes to the node, of which some get no answer',
    remedy:
      'look at what counts drops between the nodes: "ip -s link" and "tc -s qdisc" on both, "ethtool -S" of their devices, the ports of switches; and at how busy the other node is',
  },
} as const satisfies Record<string, ProblemEntry>
