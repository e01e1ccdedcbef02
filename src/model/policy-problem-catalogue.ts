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
    title: 'The rules of network policies cannot be written',
    about: 'kernel',
    how: "the kernel's answer when the agent read or changed the object",
    remedy:
      'what was written last stays in force, and no new pod gets its network; make what the kernel asks for in its words: ENOENT of a rule is a module that it lacks, nft_ct, nft_limit, nft_log or nfnetlink_log, or nft_meta_bridge for the table bridge; the agent tries again by itself',
  },
  CW3304: {
    title: 'Connection tracking has no room: new connections are dropped',
    about: 'node',
    how: 'the sysctls net.netfilter.nf_conntrack_count and nf_conntrack_max',
    remedy:
      'raise net.netfilter.nf_conntrack_max of the node, or end the pod that opens so many connections: causeway policy list and conntrack -L show whose they are',
  },
  CW3305: {
    title: 'A policy cannot be enforced as it is written',
    about: 'cluster object',
    how: 'the policy as the API has it; causeway policy list shows the same',
    remedy:
      'correct the field that the message names; until then that part of the policy matches nothing, or denies all that it may have meant, and allows nothing more than was written',
  },
  CW3306: {
    title: 'Pods are wired without network policies',
    about: 'node',
    how: 'that the API does not answer, and that the cluster had no policy when this node last knew it',
    remedy: 'bring the API back; policies that were made since are enforced for all pods as soon as it answers',
  },
  CW3307: {
    title: 'New pods get no network: network policies are not known',
    about: 'node',
    how: "the agent's lists of pods, namespaces and policies, and what it knows of the time before its start",
    remedy:
      'bring the API back, or give the agent the rights that CW3302 names; running pods keep the rules that they had, and the agent goes on by itself',
  },
  CW3308: {
    title: 'What policies deny is counted, but not told',
    about: 'kernel',
    how: "the kernel's answer to a rule that tells of a packet",
    remedy:
      'policies are enforced all the same; to see denials, use a kernel with the modules nft_limit, nft_log and nfnetlink_log: the agent tries again within a minute',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
