// The problems of another network's kernel state, which an observer tells (65xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

const compared = "flannel's annotations of Node objects, compared with what the kernel of this node has"
const restart =
  'restart flannel on this node, which makes it again: kubectl -n kube-flannel delete pod -l app=flannel --field-selector spec.nodeName=NODE (with k3s, whose flannel is a part of it: restart the service k3s or k3s-agent)'

export const observedProblemCatalogue = {
  CW6501: {
    title: "Flannel's route to a node is missing or leads elsewhere",
    about: 'kernel',
    how: compared,
    remedy: `${restart}; then see who takes it away, such as a network manager that restarts`,
  },
  CW6502: {
    title: "Flannel's neighbour entry of a node is missing or wrong",
    about: 'kernel',
    how: compared,
    remedy: `${restart}; if the other node has written a MAC that its device has not, restart flannel there`,
  },
  CW6503: {
    title: "Flannel's bridge entry of a node is missing or leads elsewhere",
    about: 'kernel',
    how: compared,
    remedy: restart,
  },
  CW6504: {
    title: "Flannel's VXLAN device is missing or not as it should be",
    about: 'kernel',
    how: "the device, compared with the annotations of this node's Node object and with the device of the underlay",
    remedy: restart,
  },
  CW6505: {
    title: 'The bridge of pods is missing or not as it should be',
    about: 'kernel',
    how: "the bridge cni0, compared with the pod CIDRs of this node's Node object",
    remedy:
      'drain the node and restart it: the bridge plugin makes the bridge with the first pod, and gives running pods no port of a new one',
  },
  CW6507: {
    title: "Flannel's way to a node is not known",
    about: 'node',
    how: "flannel's annotations and spec.podCIDRs of its Node object",
    remedy: 'see whether flannel runs on that node, and its log: kubectl -n kube-flannel get pods -o wide',
  },
  CW6508: {
    title: "A pod's namespace is not found",
    about: 'pod',
    how: 'the addresses of the interfaces in all namespaces of /run/netns, and their other ends on this node',
    remedy:
      'see where the runtime keeps namespaces, and whether the pod has the address that the API tells: kubectl get pod -o wide; crictl inspectp',
  },
  CW6509: {
    title: 'The observer does not know the cluster',
    about: 'agent',
    how: 'the lists of nodes and pods of the API',
    remedy:
      'see whether the API answers, whether the observer may list nodes and pods, and whether CAUSEWAY_NODE_NAME is the name of the Node object',
  },
} as const satisfies Readonly<Record<string, ProblemEntry>>
