// The problems that firewalls of others make (70xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

const fromFirewall =
  "others' rules at the kernel's hooks, followed as such packets would go; a rule that cannot be judged counts as one that lets them pass"

export const firewallProblemCatalogue = {
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
  CW7005: {
    title: "Another's rule replaces addresses of packets between pods",
    about: 'kernel',
    how: fromFirewall,
    remedy:
      'let packets from the cluster CIDRs to the cluster CIDRs pass before the rule named here: it is meant for what leaves the cluster',
  },
  CW7006: {
    title: 'A firewall drops packets between pods of the node',
    about: 'kernel',
    how: `${fromFirewall}; and the sysctls net.bridge.bridge-nf-call-iptables and -ip6tables`,
    remedy:
      'let that firewall accept what comes from the bridge of pods and goes to it, before the rule named here; where nothing needs bridges to hand frames to it (kube-proxy does, for Services), set the sysctl to 0',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
