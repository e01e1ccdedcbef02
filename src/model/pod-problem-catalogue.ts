// The problems of the CNI plugin's installation (30xx) and of pods' addresses and namespaces (31xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

const fromStore = "the agent's state file, compared with the veths and namespaces of this node"

export const podProblemCatalogue = {
  CW3001: {
    title: 'The CNI plugin cannot be installed',
    about: 'file',
    how: 'the error of the write',
    remedy: 'let the agent write the folder, which CAUSEWAY_CNI_BIN_DIR names and where the runtime looks for plugins',
  },
  CW3002: {
    title: 'The CNI configuration cannot be written',
    about: 'file',
    how: 'the error of the write',
    remedy:
      'let the agent write the folder, which CAUSEWAY_CNI_CONF_DIR names and where the runtime looks for configurations',
  },
  CW3003: {
    title: 'The CNI configuration cannot be removed',
    about: 'file',
    how: 'the error of the removal, which is due because this node has had no network for pods for a minute',
    remedy:
      'let the agent write the folder; until then the runtime calls the network ready though pods cannot be wired',
  },
  CW3004: {
    title: 'The folder of CNI configurations cannot be read',
    about: 'file',
    how: 'the error of the read',
    remedy: 'let the agent read the folder, which CAUSEWAY_CNI_CONF_DIR names',
  },
  CW3005: {
    title: 'A chained CNI plugin is missing',
    about: 'file',
    how: 'the folder of plugins, and the setting CAUSEWAY_CNI_CHAIN',
    remedy: 'install the CNI reference plugins there, or take the name out of CAUSEWAY_CNI_CHAIN',
  },
  CW3006: {
    title: 'A chained CNI plugin does not tell its versions',
    about: 'file',
    how: 'its answer to VERSION',
    remedy: 'if pods fail with it, install the CNI reference plugins there; if they do not, nothing is to be done',
  },
  CW3007: {
    title: 'A chained CNI plugin speaks no version that all others speak',
    about: 'file',
    how: 'its answer to VERSION, and those of the other plugins of the chain',
    remedy: 'install the CNI reference plugins of one release',
  },
  CW3008: {
    title: 'Another CNI configuration comes first',
    about: 'file',
    how: 'the names in the folder of CNI configurations, of which container runtimes take the first',
    remedy:
      'if Causeway is to be the network of this node: drain the node, move the file out of the folder, uncordon it, so that no pod keeps half a network of each; if the other one is to stay, run no agent here',
  },
  CW3013: {
    title: "Another program insists on its version of Causeway's CNI configuration",
    about: 'file',
    how: 'how often the file was put right',
    remedy:
      'have the program that changes it (a service mesh, an installer) leave what is not its own: entries that it adds before or after those of Causeway stay',
  },
  CW3101: {
    title: 'The state file cannot be used',
    about: 'file',
    how: 'the error of the last read or write',
    remedy:
      'free space or mend the disk, the agent then goes on by itself; do not move the file away while pods run: all of them would lose their network',
  },
  CW3102: {
    title: 'A veth belongs to no pod',
    about: 'kernel',
    how: fromStore,
    remedy: 'wait for the next pass of the agent, which removes it; if it stays, causeway status tells why',
  },
  CW3103: {
    title: 'An address is leaked',
    about: 'pod',
    how: fromStore,
    remedy: 'wait: the agent releases it within two minutes',
  },
  CW3104: {
    title: "A pod's namespace is another one, or gone",
    about: 'pod',
    how: fromStore,
    remedy: 'delete the pod',
  },
  CW3105: {
    title: "A pod's veth is gone",
    about: 'pod',
    how: fromStore,
    remedy: 'wait for the next pass of the agent, which makes it anew; causeway status tells why when it cannot',
  },
  CW3106: {
    title: 'An address is missing in its pod',
    about: 'pod',
    how: "the addresses in the pod's namespace, compared with the agent's state file",
    remedy: 'delete the pod, so that it is made anew',
  },
  CW3107: {
    title: 'A pod has an address of another one',
    about: 'pod',
    how: "the addresses in the pod's namespace, compared with the agent's state file",
    remedy: 'delete the pod that should not have it, so that it is made anew',
  },
  CW3108: {
    title: "A pod's namespace cannot be read",
    about: 'pod',
    how: 'the error of the read',
    remedy:
      'let the agent enter namespaces (CAP_SYS_ADMIN); a pod that was deleted meanwhile is gone at the next check',
  },
  CW3109: {
    title: 'Pods get no network',
    about: 'node',
    how: 'what the last pass of the agent had, and its state file',
    remedy: 'mend what the message names; the agent goes on by itself',
  },
  CW3110: {
    title: 'No pod address can be given',
    about: 'node',
    how: 'the size of the pod CIDRs, and whether the state file can be written',
    remedy: 'give the node a larger pod CIDR where the message says so; free space where the disk is full',
  },
  CW3111: {
    title: 'Running pods keep an MTU that is no longer right',
    about: 'node',
    how: "the error of the change in the pod's namespace",
    remedy:
      'restart the agent of this node, which then sees where the runtime keeps namespaces; if the problem stays, delete the pods that it names, so that they are made anew',
  },
  CW3112: {
    title: 'The node has no room for another pod',
    about: 'node',
    how: 'the addresses that pods of this node have, and how many pods its datapath can serve',
    remedy: 'delete pods from this node, or give it a larger pod CIDR',
  },
  CW3113: {
    title: 'Two pods of a node ask for one host port',
    about: 'node',
    how: 'the host ports that the runtime asked for as the pods were made',
    remedy:
      'give one of the pods another host port, or keep them from one node; the one that has it keeps it until it is deleted',
  },
  CW3114: {
    title: 'A route is missing in its pod',
    about: 'pod',
    how: "the routes in the pod's namespace, compared with the pod CIDRs of other nodes",
    remedy: 'delete the pod, so that it is made anew',
  },
  CW3115: {
    title: "A pod's device has another MTU than its other end",
    about: 'pod',
    how: "the MTU of the device in the pod's namespace, compared with that of its other end on the node",
    remedy: 'delete the pod, so that it is made anew',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
