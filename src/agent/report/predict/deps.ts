// What a prediction needs of the agent's parts.
import { datapathKinds } from '#/datapath/registry.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { type AgentConfig } from '../../config.ts'
import { type ReportingPartDeps } from '../../reporting-part.ts'
import { type PredictDeps } from './context.ts'

export function predictDepsOf(
  { nodeName, settings }: Pick<AgentConfig, 'nodeName' | 'settings'>,
  {
    netlink,
    ebpf,
    cluster,
    pods,
    network,
  }: Pick<ReportingPartDeps, 'netlink' | 'ebpf' | 'cluster' | 'pods' | 'network'>,
  rest: Pick<PredictDeps, 'generation' | 'policy'>,
): PredictDeps {
  return {
    nodeName,
    netlink,
    pods: () => pods.endpoints,
    netnsOf: (pod) => pods.netnsOf(pod),
    verdicts: () => network.state.remoteNodes?.verdicts ?? [],
    // pods keep addresses of CIDRs that their node has lost
    podCIDRs: () => [...(cluster.view.self?.podCIDRs ?? []), ...(network.state.formerCIDRs ?? [])],
    nodeAddrs: () => listAddresses(netlink).map(({ addr }) => addr),
    clusterCIDRs: settings.clusterCIDRs,
    vxlanPort: settings.vxlanPort,
    podDevice: () => datapathKinds.bridge.podDevice,
    ebpf,
    ...rest,
  }
}
