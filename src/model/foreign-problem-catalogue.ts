// The problems that objects of others in the kernel make: routes, rules, addresses (13xx) and firewalls (70xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

const fromFirewall =
  "others' rules at the kernel's hooks, followed as such packets would go; a rule that cannot be judged counts as one that lets them pass"
const asksKernel =
  "the kernel's own answer to which route a packet to each pod CIDR takes, as one of a pod and as one of the node"

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
  CW7001: {
    title: 'A firewall drops packets between pods',
    about: 'kernel',
    how: fromFirewall,
    remedy: 'let that firewall accept what is forwarded from and to the device of pods, before the rule named here',
  },
  CW7002: {
    title: "A firewall drops the tunnel's packets",
    about: 'kernel',
    how: fromFirewall,
    remedy:
      "let that firewall accept the tunnel's UDP port, before the rule named here; Causeway's own table takes it from nodes alone",
  },
  CW7003: {
    title: 'A firewall drops packets from pods to their node',
    about: 'kernel',
    how: fromFirewall,
    remedy:
      'if pods are to reach services of their node, let that firewall accept what comes in from the device of pods',
  },
  CW7004: {
    title: "Somebody takes out Causeway's rules again and again",
    about: 'kernel',
    how: 'how often the rules had to be put back into the chain of another program, within a quarter of an hour',
    remedy:
      'find the program that rewrites the chain and let it accept packets from and to the device of pods itself; then set CAUSEWAY_FORWARD_CHAINS to leave',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
