// The process of a node's agent in a lab.
import { LabPaths } from './paths.ts'
import { type Start } from './processes.ts'
import { agentRole } from './roles.ts'
import { nodeDatapaths, type LabSpec } from './spec.ts'

/** How the agent of a node, or its observer, is started, in the node's namespace; `causeway` is the command line's interpreter and script. */
export function agentStart(spec: LabSpec, node: string, causeway: readonly string[]): Omit<Start, 'netns'> {
  const paths = new LabPaths(spec.name)
  const role = agentRole(node)
  const cni = paths.nodeCni(node)
  const common = {
    CAUSEWAY_NODE_NAME: node,
    CAUSEWAY_RUN_DIR: paths.nodeRun(node),
    CAUSEWAY_KUBECONFIG: paths.nodeKubeconfig,
  }
  const start = { lab: spec.name, role, logFile: paths.log(role) }
  if (spec.network !== undefined) return { ...start, command: [...causeway, 'observe'], env: common }
  return {
    ...start,
    command: [...causeway, 'agent'],
    env: {
      CAUSEWAY_CLUSTER_CIDRS: spec.clusterCIDRs.join(','),
      ...common,
      CAUSEWAY_STATE_DIR: paths.nodeState(node),
      CAUSEWAY_ROUTING: spec.routing,
      CAUSEWAY_DATAPATH: nodeDatapaths(spec).get(node)!,
      CAUSEWAY_CNI_BIN_DIR: cni.bin,
      CAUSEWAY_CNI_CONF_DIR: cni.conf,
      CAUSEWAY_BPF_DIR: paths.nodeBpf(node),
    },
  }
}
