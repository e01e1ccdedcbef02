// The problems that routes, rules and addresses of others in the kernel make (13xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

const asksKernel =
  "the kernel's own answer to which route a packet to each pod CIDR takes, as one of a pod and as one of the node"

const whereItEnds =
  'run "tcpdump -ni DEVICE" for the tunnel\'s port, or for the pods\' addresses, on the underlay devices of both nodes: where they leave one and do not reach the other, a firewall or security group between them has to let them through; where they arrive, look for what drops them: "nft list ruleset", "tc filter show dev DEVICE ingress", the same with egress, "bpftool net show"'

export const foreignProblemCatalogue = {
  CW1301: {
    title: 'A rule leads packets of pods elsewhere',
    about: 'kernel',
    how: asksKernel,
    remedy:
      "do not delete the rule while its maker needs it: have it leave out the pods' networks, or put a rule for these before it that looks in the table main",
  },
  CW1302: {
    title: "Another's route leads packets of pods elsewhere",
    about: 'kernel',
    how: asksKernel,
    remedy: 'remove the route where it is configured, if nothing needs it; else give the node another pod CIDR',
  },
  CW1303: {
    title: 'This node has an address of others',
    about: 'kernel',
    how: asksKernel,
    remedy: 'take the address away where it is configured, or give the other node or its pods another one',
  },
  CW1304: {
    title: 'The kernel uses no route to pods',
    about: 'kernel',
    how: asksKernel,
    remedy: 'ask the kernel with the command of the message, and look at forwarding, rp_filter and "ip rule show"',
  },
  CW1305: {
    title: 'A device of the underlay does not forward',
    about: 'kernel',
    how: 'the sysctl forwarding of the device and of the node',
    remedy: 'set forwarding of the device to 1, and keep it so where it is configured',
  },
  CW1306: {
    title: 'Packets go to a node and nothing comes from it',
    about: 'kernel',
    how: "the tunnel's counters of packets to and from the node's addresses, and echo requests to its gateway; without a tunnel the echo requests alone",
    remedy: whereItEnds,
  },
  CW1307: {
    title: 'Packets go to many nodes and nothing comes from them',
    about: 'kernel',
    how: "the tunnel's counters of packets to and from the nodes' addresses, and echo requests to their gateways; without a tunnel the echo requests alone",
    remedy: whereItEnds,
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
