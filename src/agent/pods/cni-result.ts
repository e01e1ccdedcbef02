// The result of an ADD: our interfaces, addresses and routes, after those of the plugins that ran before us.
import { type PodNetwork } from '#/datapath/datapath.ts'
import { podRoutes } from '#/datapath/pod-side.ts'
import { hostMacOf } from '#/datapath/veth.ts'
import { type Endpoint } from '../endpoints/endpoint-store.ts'
import { type CniResult } from '#/wire/cni/index.ts'

const nothing: CniResult = { interfaces: [], ips: [], routes: [] }

export function resultOf(endpoint: Endpoint, network: PodNetwork, before: CniResult = nothing): CniResult {
  const mtu = network.deviceMtuBytes
  // later plugins find the pod's interface by the index in our addresses, and the veth as the interface without a sandbox
  const podIndex = before.interfaces.length + 1
  return {
    ...before,
    interfaces: [
      ...before.interfaces,
      { name: endpoint.hostDevice, mac: hostMacOf(endpoint), mtu },
      { name: endpoint.ifName, mac: endpoint.mac, mtu, sandbox: endpoint.netns },
    ],
    ips: [
      ...before.ips,
      ...endpoint.addrs.map(({ addr, cidr }) => ({
        address: addr,
        prefixLength: cidr.length,
        gateway: cidr.at(1),
        interface: podIndex,
      })),
    ],
    routes: [
      ...before.routes,
      ...podRoutes(endpoint.addrs, network).map(({ dst, gateway, mtuBytes }) => ({
        dst,
        gw: gateway,
        ...(mtuBytes !== undefined && { mtu: mtuBytes }),
      })),
    ],
  }
}
