// The problems of network policy (33xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

export const policyProblemCatalogue = {
  CW3301: {
    title: 'A pod is held back: its network policies cannot be enforced yet',
    about: 'pod',
    how: "the pods, namespaces and policies that the API has told of, and what the kernel has of this node's rules",
    remedy:
      'wait: the runtime asks again by itself; if it lasts, see why the API does not tell this node of the pod (its log, CW3302), or why rules cannot be written (CW3303)',
  },
  CW3302: {
    title: 'What policies are made of cannot be read',
    about: 'cluster object',
    how: "the API's answer to the agent's list or watch",
    remedy:
      "give the agent's role list and watch of pods, namespaces, networkpolicies and clusternetworkpolicies: causeway install applies the role of this release, and docs/install.md lists the rights",
  },
  CW3303: {
    title: 'Network policies cannot be written to the kernel',
    about: 'node',
    how: "the kernel's answer when the agent wrote or compared the rules",
    remedy:
      'make what the kernel asks for in its words (modules nf_tables, nft_ct, nft_log, nft_limit; memory); the agent tries again by itself. Running pods keep the rules that they had, and new pods are refused until then',
  },
  CW3304: {
    title: 'Connection tracking has no room: new connections are dropped',
    about: 'node',
    how: 'the sysctls net.netfilter.nf_conntrack_count and nf_conntrack_max',
    remedy:
      'raise net.netfilter.nf_conntrack_max of the node, or end the pod that opens so many connections: causeway policy list and conntrack -L show whose they are',
  },
  CW3306: {
    title: 'Pods are wired without network policies',
    about: 'node',
    how: 'that the API does not answer, and that the cluster had no policy when this node last knew it',
    remedy:
      'bring the API back; policies that were made since are enforced for all pods as soon as it answers',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
