// Problems of ways between nodes that only packets show (81xx). A part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

export const pathProblemCatalogue = {
  CW8101: {
    title: 'A way to a node carries small packets and loses large ones',
    about: 'kernel',
    how: 'probes of the full size to the node, which must not be fragmented and get no answer, while small ones do',
    remedy:
      'give every device and router between the nodes the MTU that the devices of nodes have, or set CAUSEWAY_MTU of all agents to what the path carries: "ping -M do -s SIZE ADDRESS" finds it, to which 28 bytes of headers are added, 48 with IPv6',
  },
  CW8102: {
    title: 'Packets to a node are lost in part',
    about: 'kernel',
    how: 'probes to the node, of which some get no answer',
    remedy:
      'look at what counts drops between the nodes: "ip -s link" and "tc -s qdisc" on both, "ethtool -S" of their devices, the ports of switches; and at how busy the other node is',
  },
  CW8103: {
    title: 'Checksums of TCP and UDP are wrong where packets arrive',
    about: 'kernel',
    how: 'the reason for which the receiving kernel dropped a packet that was followed, or its count of wrong checksums (InCsumErrors), which grows while packets are followed',
    remedy:
      'have the sending node compute checksums itself: ethtool -K DEVICE tx off, of its underlay device; if that mends it, keep it so where devices are configured, and look for a newer driver or firmware of the card',
  },
  CW8104: {
    title: 'A device of the underlay has no carrier',
    about: 'kernel',
    how: "the state of the device that has the node's address, or leads to other nodes",
    remedy:
      'look at the cable, the port of the switch and, of a virtual machine, its network; of a device that is down, see who sets it down, and set it up: ip link set dev DEVICE up',
  },
  CW8105: {
    title: 'A neighbour entry has a wrong MAC',
    about: 'kernel',
    how: 'the neighbour entry of one node for an address of another, compared with the MAC that the other node has on the device with this address',
    remedy:
      'find who set the entry (a permanent one is configured: ip neigh show nud permanent) and take it out there: ip neigh del ADDRESS dev DEVICE; if it is learned, two machines answer for one address',
  },
  CW8107: {
    title: "The kernel's table of neighbours is full",
    about: 'kernel',
    how: "the kernel's table of neighbours (ip ntable show): its entries, its limit gc_thresh3, and how often it refused a new one",
    remedy:
      'on the host of the node, raise net.ipv4.neigh.default.gc_thresh3, for IPv6 net.ipv6.neigh.default.gc_thresh3, to at least twice the number of nodes and pods on its links, gc_thresh2 to half of it and gc_thresh1 to a quarter, with sysctl -w and in a file of /etc/sysctl.d; it holds for the whole kernel, with all its namespaces',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
