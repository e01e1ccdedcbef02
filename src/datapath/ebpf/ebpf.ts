// The eBPF datapath: the bridge datapath with programs in front of it (docs/ebpf.md). Its pods' veths are ports of the same bridge, so that
// a pod that changes its datapath keeps every device. The programs have kernel objects, and drivers, of their own.
import { BpfError } from '#/kernel/bpf/error.ts'
import { type BpfPod } from '#/model/bpf.ts'
import { podLimits } from '#/plan/bandwidth.ts'
import { type CniResult } from '#/wire/cni/index.ts'
import { bridgeDatapath, portFaults, wirePort } from '../bridge/bridge.ts'
import { faultsOf } from '../check.ts'
import {
  type Datapath,
  type DatapathDeps,
  type DatapathKind,
  type PodInterface,
  type PodNetwork,
  PodNetworkError,
} from '../datapath.ts'
import { refreshPod } from '../refresh.ts'
import { unwirePod } from '../veth.ts'
import { plugFaults, plugPod, unplugPod } from './pod-plug.ts'
import { type EbpfState } from './state.ts'

function bpfPodOf({ hostDevice, pod, addrs, mac, bandwidth }: PodInterface): BpfPod {
  return {
    device: hostDevice,
    pod,
    addrs: addrs.map(({ addr }) => addr),
    mac,
    isBridged: false,
    isLimited: podLimits(bandwidth).ingress !== undefined,
  }
}

/** The MAC of the pod's end: a later plugin may have set another one. */
function macOf({ ifName, mac }: PodInterface, { interfaces }: CniResult): string {
  return interfaces.find(({ name, sandbox }) => name === ifName && sandbox)?.mac?.toLowerCase() ?? mac
}

function wire(deps: DatapathDeps, ebpf: EbpfState, pod: PodInterface, network: PodNetwork): void {
  if (ebpf.current === undefined) throw new PodNetworkError('the programs of the eBPF datapath are not loaded')
  unplugPod(ebpf, deps.netlink, pod.hostDevice)
  try {
    wirePort(deps, pod, network, (host) => plugPod(ebpf, deps.netlink, bpfPodOf(pod), host, network.deviceMtuBytes))
  } catch (error) {
    unplugPod(ebpf, deps.netlink, pod.hostDevice)
    throw error instanceof BpfError ? new PodNetworkError(error.message) : error
  }
}

function openEbpf(deps: DatapathDeps): Datapath {
  const { netlink, removal, ebpf } = deps
  const bridge = bridgeDatapath.open(deps)
  if (ebpf === undefined) return { ...bridge, name: 'ebpf' }
  return {
    name: 'ebpf',
    wire: (pod, network) => wire(deps, ebpf, pod, network),
    check: (pod, network, told) =>
      faultsOf(netlink, {
        pod,
        network,
        told,
        ofHost: (_, host) => [
          ...portFaults(netlink, host, pod),
          ...plugFaults(ebpf, netlink, { ...bpfPodOf(pod), mac: macOf(pod, told) }, host),
        ],
      }),
    refresh: (pod, network) => refreshPod(netlink, pod, network),
    unplug: (pod) => {
      unplugPod(ebpf, netlink, pod.hostDevice)
      removal.unplug(pod)
    },
    unwire: (pod) => {
      unplugPod(ebpf, netlink, pod.hostDevice)
      unwirePod(netlink, pod)
    },
  }
}

export const ebpfDatapath: DatapathKind = {
  ...bridgeDatapath,
  name: 'ebpf',
  hasPrograms: true,
  open: openEbpf,
}
