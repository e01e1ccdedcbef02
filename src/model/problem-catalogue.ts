// Every problem that Causeway reports, by its code. A code never gets another meaning, and the code of a problem that is no longer
// reported is not used again. docs/problems.md has a section for each code, and a test compares the two.
//
//   10xx Node objects              20xx kernel objects of this node        40xx BGP objects     41xx BGP sessions
//   11xx addresses and pod CIDRs   30xx installation of the CNI plugin     50xx settings
//   12xx routing between nodes     31xx pods' addresses (causeway ipam)    60xx agents, as others see them
//   13xx what others have          32xx the eBPF datapath                  61xx packets that were followed
//        in the kernel             33xx network policy                     62xx what other networks left
//   70xx firewalls of others       81xx ways between nodes                 63xx nodes compared
//   90xx the agent itself         65xx another network's state

import { bgpProblemCatalogue } from './bgp-problem-catalogue.ts'
import { clusterProblemCatalogue } from './cluster-problem-catalogue.ts'
import { ebpfProblemCatalogue } from './ebpf-problem-catalogue.ts'
import { firewallProblemCatalogue } from './firewall-problem-catalogue.ts'
import { foreignProblemCatalogue } from './foreign-problem-catalogue.ts'
import { pathProblemCatalogue } from './path-problem-catalogue.ts'
import { observedProblemCatalogue } from './observed-problem-catalogue.ts'
import { podProblemCatalogue } from './pod-problem-catalogue.ts'
import { policyProblemCatalogue } from './policy-problem-catalogue.ts'
import { type ProblemEntry } from './problem-entry.ts'

const registerAnew =
  'drain the node, so that its pods are made anew elsewhere, then delete its Node object and restart its kubelet, which registers it anew; deleted without a drain, its pods end with it'
const fromKernel = "the kernel's answer when the agent read or changed the object"
const seeKernel = 'make what the kernel asks for in its words; the agent tries again by itself'

export const problemCatalogue = {
  CW1001: {
    title: 'The Node object is missing',
    about: 'node',
    how: 'the whole list of Node objects of the API',
    remedy: 'let the kubelet register this node, or set CAUSEWAY_NODE_NAME to the name of its Node object',
  },
  CW1002: {
    title: 'The node has no pod CIDR',
    about: 'node',
    how: 'spec.podCIDRs and the annotation causeway.dev/extra-pod-cidrs of its Node object',
    remedy:
      'wait a moment, as a controller gives it one: that of Causeway, or kube-controller-manager with --allocate-node-cidrs; if none comes, see whether one of them runs, and its log',
  },
  CW1003: {
    title: 'The routing of the node cannot be read',
    about: 'node',
    how: 'the annotation causeway.dev/routing of its Node object',
    remedy: 'correct or remove the annotation; until then the routing of the cluster holds',
  },
  CW1004: {
    title: 'The routing state of the node cannot be read',
    about: 'node',
    how: 'the annotation causeway.dev/routing-state of its Node object',
    remedy: 'remove the annotation: the agent of that node writes it again',
  },
  CW1005: {
    title: 'A flannel annotation cannot be read',
    about: 'node',
    how: 'the flannel annotations of its Node object',
    remedy: 'restart the agent of that node, Causeway or flannel, which writes the annotation again',
  },
  CW1006: {
    title: 'The datapath of the node cannot be read',
    about: 'node',
    how: 'the annotation causeway.dev/datapath of its Node object',
    remedy: 'correct or remove the annotation; until then the datapath of the cluster holds',
  },
  CW1101: {
    title: 'A pod CIDR cannot be used',
    about: 'node',
    how: 'spec.podCIDRs and the annotation causeway.dev/extra-pod-cidrs of the Node object',
    remedy: `correct the annotation; spec.podCIDRs the API lets nobody change: ${registerAnew}`,
  },
  CW1102: {
    title: 'An address of the node cannot be used',
    about: 'node',
    how: 'status.addresses of the Node object',
    remedy: 'have its kubelet tell another address: --node-ip, or the cloud provider that sets it',
  },
  CW1103: {
    title: 'Pod CIDRs of two nodes overlap',
    about: 'node',
    how: 'the pod CIDRs of all Node objects; a node that is Ready has the better claim, then one on which an agent has run, then the older object',
    remedy: `give the node named here, whose pods are not reached, other pod CIDRs: ${registerAnew}`,
  },
  CW1104: {
    title: 'Two nodes have one address',
    about: 'node',
    how: 'status.addresses of all Node objects; the problem stands on the node whose object shows less life, or is younger',
    remedy:
      'if the machine has been renamed, delete the Node object of its former name; otherwise correct status.addresses of the node whose address it is not: its kubelet (--node-ip) or the cloud provider sets it',
  },
  CW1105: {
    title: 'A pod CIDR is outside of the cluster CIDRs',
    about: 'node',
    how: 'the pod CIDRs of the Node object, compared with the setting CAUSEWAY_CLUSTER_CIDRS',
    remedy:
      "if the CIDR is meant to be the cluster's, add it to CAUSEWAY_CLUSTER_CIDRS of all agents and the controller; if not, correct the Node object or delete it",
  },
  CW1106: {
    title: 'A pod CIDR is too small for pods',
    about: 'node',
    how: 'the pod CIDRs of the Node object',
    remedy: `make the nodes' pod CIDRs larger (CAUSEWAY_NODE_MASK_SIZE_IPV4 and _IPV6 of the controller), then ${registerAnew}`,
  },
  CW1107: {
    title: 'Pods with addresses of a former pod CIDR are cut off',
    about: 'node',
    how: 'the addresses that pods of this node hold, compared with the pod CIDRs of all Node objects now',
    remedy: 'delete these pods, so that they are made anew with addresses of today; causeway ipam show lists them',
  },
  CW1108: {
    title: 'An address of the node is on no device',
    about: 'node',
    how: "status.addresses of the Node object, compared with the addresses of this node's devices",
    remedy:
      'correct status.addresses of the Node object (its kubelet sets it, --node-ip), or give a device that address',
  },
  CW1109: {
    title: 'The cluster CIDRs are used up',
    about: 'node',
    how: 'the pod CIDRs that all Node objects hold, compared with CAUSEWAY_CLUSTER_CIDRS of the controller',
    remedy:
      'add a cluster CIDR (CAUSEWAY_CLUSTER_CIDRS of the controller and all agents), or remove Node objects of machines that are gone',
  },
  CW1110: {
    title: 'A pod CIDR holds a whole cluster CIDR',
    about: 'node',
    how: 'the pod CIDRs of the Node object, compared with CAUSEWAY_CLUSTER_CIDRS of the controller',
    remedy: `give the node a smaller one: ${registerAnew}; or add another cluster CIDR for the other nodes`,
  },
  CW1111: {
    title: 'The node has no pod CIDR of one family',
    about: 'node',
    how: 'the pod CIDRs of the Node object, compared with the families of CAUSEWAY_CLUSTER_CIDRS of the controller',
    remedy: `the API lets nobody add one: ${registerAnew}`,
  },
  CW1112: {
    title: 'A pod CIDR covers addresses of nodes',
    about: 'node',
    how: "the pod CIDR of the Node object, compared with this node's subnets and addresses, the addresses of all Node objects, and ranges in which nothing is routed",
    remedy: `give the node named here another pod CIDR: ${registerAnew}`,
  },
  CW1113: {
    title: 'The address of a node is in a pod CIDR of another node',
    about: 'node',
    how: 'status.addresses and the pod CIDRs of all Node objects',
    remedy:
      'correct status.addresses of the node: its kubelet (--node-ip) or the cloud provider sets it; if the node is a pod of this cluster, nodes cannot reach its pods',
  },
  CW1201: {
    title: 'No way leads to pods of a node',
    about: 'node',
    how: "the addresses, pod CIDRs and routing of both nodes' Node objects, and what BGP has told",
    remedy: 'have its kubelet set status.addresses, with an address of a family that this node has too',
  },
  CW1202: {
    title: 'The underlay is too narrow for IPv6',
    about: 'node',
    how: 'the MTU on the way to the other node, or CAUSEWAY_MTU, without what the tunnel takes of it',
    remedy: 'raise the MTU of the underlay',
  },
  CW1203: {
    title: 'rp_filter is strict',
    about: 'kernel',
    how: 'the sysctl rp_filter of the device and of "all"',
    remedy: 'set rp_filter of the device to 2, and keep it so in /etc/sysctl.d',
  },
  CW1204: {
    title: 'VXLAN is used where routing is native',
    about: 'node',
    how: 'the way that this node has chosen to each pod CIDR, once all nodes and all of BGP were known',
    remedy: 'let BGP tell these pod CIDRs, or set the routing to auto',
  },
  CW1205: {
    title: 'No other node is reached',
    about: 'node',
    how: "the ways that the plan has to all other nodes, the kernel's answers to their routes, which route it then uses, and whether anything comes from them",
    remedy:
      'mend what the message names: the addresses of this node, or what keeps the kernel from taking its routes or using them; where nothing comes from other nodes, do as CW1306 says',
  },
  CW1206: {
    title: 'The routing of the node is not told yet',
    about: 'node',
    how: 'the annotation causeway.dev/routing-state of its Node object, which the agent writes',
    remedy:
      "see why the agent cannot write status of its Node object: its log has the API's words, docs/install.md the rights",
  },
  CW1207: {
    title: "The underlay's MTU is not known, or not what it carries",
    about: 'node',
    how: "the node's addresses, the routes of others by which packets leave, the MTUs of their devices, and CAUSEWAY_MTU",
    remedy: 'give the node a route to the other nodes, as a default route is one',
  },
  ...foreignProblemCatalogue,
  CW2001: {
    title: 'A device cannot be made',
    about: 'kernel',
    how: fromKernel,
    remedy: seeKernel,
  },
  CW2002: {
    title: 'A sysctl cannot be set',
    about: 'kernel',
    how: fromKernel,
    remedy:
      'let the agent write /proc/sys of the node (it is read-only in a container without privileges), or set the value there',
  },
  CW2003: {
    title: "A pod's veth cannot be set up",
    about: 'kernel',
    how: fromKernel,
    remedy:
      'if the pod is gone, wait until its addresses are released (causeway ipam check); if it runs, delete it, so that it is made anew',
  },
  CW2004: {
    title: 'An address cannot be set',
    about: 'kernel',
    how: fromKernel,
    remedy: seeKernel,
  },
  CW2005: {
    title: 'A neighbour entry cannot be set',
    about: 'kernel',
    how: fromKernel,
    remedy: seeKernel,
  },
  CW2006: {
    title: 'An nftables table cannot be written',
    about: 'kernel',
    how: fromKernel,
    remedy:
      'see that the kernel has nftables (modules nf_tables, nft_chain_nat, nft_masq); the agent tries again by itself',
  },
  CW2007: {
    title: "A firewall's chain cannot be opened for pods",
    about: 'kernel',
    how: fromKernel,
    remedy:
      'let the firewall that owns the chain accept what is forwarded from and to the device of pods (causeway plan shows the rules)',
  },
  CW2008: {
    title: 'A route cannot be made',
    about: 'kernel',
    how: fromKernel,
    remedy: seeKernel,
  },
  CW2009: {
    title: 'Somebody changes an object of Causeway again and again',
    about: 'kernel',
    how: 'how often it had to be set back, or made again, within a quarter of an hour',
    remedy:
      'find the program that sets it (NetworkManager, systemd-networkd, a service that applies sysctls) and have it leave the devices cw-br0, cw-vxlan and cwv*, and what the message names, alone',
  },
  ...podProblemCatalogue,
  ...ebpfProblemCatalogue,
  ...policyProblemCatalogue,
  ...bgpProblemCatalogue,
  CW5001: {
    title: 'A variable is no setting',
    about: 'agent',
    how: "the agent's environment, compared with the settings that there are",
    remedy: 'correct the name of the variable, or take it out; docs/settings.md lists all',
  },
  ...clusterProblemCatalogue,
  ...observedProblemCatalogue,
  ...firewallProblemCatalogue,
  ...pathProblemCatalogue,
  CW9001: {
    title: 'Health and metrics are not served over TCP',
    about: 'agent',
    how: "the kernel's answer when the agent listened on the port",
    remedy: 'free the port, or set CAUSEWAY_HTTP_PORT to another one; the agent tries again by itself',
  },
  CW9002: {
    title: 'The BGP speaker ended',
    about: 'agent',
    how: 'the error with which its thread ended',
    remedy: 'mend what the error names; if it names nothing outside of Causeway, report it',
  },
  CW9003: {
    title: 'The agent cannot bring the network up to date',
    about: 'node',
    how: 'the error with which the last pass over the network ended',
    remedy:
      'mend what the error names (memory, file descriptors, what the kernel refused to read); the agent tries again by itself, and the node forwards as it did before',
  },
  CW9004: {
    title: "The kernel's changes are not told",
    about: 'agent',
    how: "the error with which the agent's watch on kernel notifications ended",
    remedy:
      'mend what the error names (memory, file descriptors); the agent opens the watch again by itself, and compares everything once a minute meanwhile',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>

export type ProblemCode = keyof typeof problemCatalogue
