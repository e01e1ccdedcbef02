// What a prediction needs of the agent's parts.
import { type EbpfState, type Generation, programsAt, ruleText } from '#/datapath/programs.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { explain } from '#/policy/explain.ts'
import { type PredictDeps, type PredictPod, type PredictPolicy, type PredictPrograms } from '#/predict/context.ts'
import { type Netns } from '#/sys/netns.ts'
import { type AgentConfig } from '../../config.ts'
import { type Endpoint } from '../../endpoints/endpoint-store.ts'
import { type ReportingPartDeps } from '../../reporting-part.ts'
import { kernelReport } from '../policy-kernel.ts'
import { type PolicySources } from '../policy-sources.ts'
import { LiveView } from './live-view.ts'

/** What of a prediction is asked of this node's kernel. */
export type LiveSources<Pod extends PredictPod = Endpoint> = {
  /** For synchronous requests only, in the node's namespace. */
  readonly netlink: Netlink
  readonly pods: () => readonly Pod[]
  /** Opens a pod's namespace; undefined when it is gone. The caller disposes of it. */
  readonly netnsOf: (pod: Pod) => Netns | undefined
  readonly ebpf: EbpfState
  readonly generation: () => Generation | undefined
  readonly policy: PolicySources
}

export function livePartsOf<Pod extends PredictPod>({
  netlink,
  pods,
  netnsOf,
  ebpf,
  generation,
  policy,
}: LiveSources<Pod>): Pick<PredictDeps, 'pods' | 'openNode' | 'openPod' | 'nodeAddrs' | 'programs' | 'policy'> {
  return {
    openNode: () => LiveView.ofNode(netlink, generation),
    pods,
    openPod: ({ hostDevice }) => {
      const own = pods().find((each) => each.hostDevice === hostDevice)
      const netns = own && netnsOf(own)
      return netns && LiveView.ofPod(netns)
    },
    nodeAddrs: () => listAddresses(netlink).map(({ addr }) => addr),
    programs: () => programsOf(netlink, ebpf, generation()),
    policy: policyOf(policy),
  }
}

function programsOf(
  netlink: Netlink,
  ebpf: EbpfState,
  generation: Generation | undefined,
): PredictPrograms | undefined {
  return (
    generation && {
      isAttached: (hostDevice) => programsAt(netlink, ebpf, hostDevice) === 'all',
      lookUp: (map, key) => generation.map(map).get(key),
      denialText: ruleText,
    }
  )
}

function policyOf(sources: PolicySources): PredictPolicy {
  return {
    state: sources.state,
    nodes: () => sources.view.nodes,
    explain: (packet, direction) => explain(sources.view, packet)[direction],
    inKernel: async (pod, direction) => kernelReport(sources, pod, direction),
  }
}

/** Whose pod CIDRs the agent knows. */
export function cidrDepsOf(
  nodeName: string,
  { cluster, network }: Pick<ReportingPartDeps, 'cluster' | 'network'>,
): Pick<PredictDeps, 'nodeName' | 'verdicts' | 'podCIDRs'> {
  return {
    nodeName,
    verdicts: () => network.state.remoteNodes?.verdicts ?? [],
    // pods keep addresses of CIDRs that their node has lost
    podCIDRs: () => [...(cluster.view.self?.podCIDRs ?? []), ...(network.state.formerCIDRs ?? [])],
  }
}

export function predictDepsOf(
  { nodeName, settings }: Pick<AgentConfig, 'nodeName' | 'settings'>,
  {
    netlink,
    ebpf,
    cluster,
    pods,
    network,
  }: Pick<ReportingPartDeps, 'netlink' | 'ebpf' | 'cluster' | 'pods' | 'network'>,
  rest: Pick<LiveSources, 'generation' | 'policy'>,
): PredictDeps {
  return {
    ...cidrDepsOf(nodeName, { cluster, network }),
    clusterCIDRs: settings.clusterCIDRs,
    vxlanPort: settings.vxlanPort,
    podDevice: () => datapathKinds.bridge.podDevice,
    ...livePartsOf({ netlink, ebpf, pods: () => pods.endpoints, netnsOf: (pod) => pods.netnsOf(pod), ...rest }),
  }
}
