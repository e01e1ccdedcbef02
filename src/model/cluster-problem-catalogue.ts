// The problems that only several nodes, or packets between them, show (60xx to 63xx), a part of problem-catalogue.ts: `causeway doctor` tells them.
import { type ProblemEntry } from './problem-entry.ts'

export const clusterProblemCatalogue = {
  CW6001: {
    title: 'The agent of a node does not answer',
    about: 'node',
    how: 'the request of causeway doctor to the agent',
    remedy:
      'see whether the agent runs (kubectl -n causeway-system get pods -o wide) and what it logs, and start it again: packets go on by what the kernel has meanwhile, but pods get no network, and what changes in the cluster is not followed',
  },
  CW6002: {
    title: 'An agent does not reach the Kubernetes API',
    about: 'node',
    how: "the agent's own watch of Node objects",
    remedy:
      'mend what the message names: the way from the node to the API server, its rights, its certificates; the agent goes on by what it knows meanwhile',
  },
  CW6003: {
    title: 'A node answers nothing',
    about: 'node',
    how: 'packets to its pods or their gateway, none of which was answered, and the request of causeway doctor to its agent',
    remedy:
      'see whether the machine runs and is connected (kubectl get nodes; its console); if it is gone for good, take it out of the cluster',
  },
  CW6101: {
    title: 'A program of others drops packets',
    about: 'kernel',
    how: 'the place where the kernel dropped a packet that was followed, and the tc and XDP programs that are attached there',
    remedy:
      'find who attached the program (tc filter show dev DEVICE ingress, egress; bpftool net; bpftool prog show id ID) and have it let packets of pods pass, or take it out if its maker is gone: tc filter del dev DEVICE ingress pref PREF (or egress), ip link set dev DEVICE xdp off and xdpgeneric off, bpftool net detach',
  },
  CW6102: {
    title: 'A packet is lost, and nobody says why',
    about: 'kernel',
    how: 'a packet that was sent and followed (causeway trace)',
    remedy: 'follow one yourself, with the steps of each kernel: causeway trace FROM TO --steps',
  },
  CW6301: {
    title: 'The clock of a node is wrong',
    about: 'node',
    how: 'the time that its agent told, within the bounds that request and answer give, compared with those of the other nodes and of this machine',
    remedy:
      'see whether the node asks a time server (timedatectl; chronyc tracking) and reaches it; certificates, leases and tokens count as expired or not yet valid by a wrong clock',
  },
  CW6302: {
    title: 'Nodes have different values of a setting that all must share',
    about: 'cluster object',
    how: 'the settings of all agents, compared',
    remedy:
      'give all agents the same value: install again with the options of before (causeway install), and wait until the DaemonSet has replaced all pods',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
