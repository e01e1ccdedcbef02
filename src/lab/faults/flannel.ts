// Faults of flannel's own state on a node, for labs whose nodes have it.
import { type Family } from '#/lib/addr.ts'
import { flannelDevice } from '#/model/flannel.ts'
import { flannelVni, vtepMac } from '../flannel/commands.ts'
import { type LabSpec, subnetCIDR } from '../spec.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsTwoNodes } from './shape.ts'

/** An address of the subnet that no node has, or has any more. */
const unusedHost = 250
const unusedMac = '9e:00:5e:00:53:01'

const needsFlannel = (spec: LabSpec): string | undefined =>
  spec.network === undefined ? 'its nodes have Causeway; causeway lab up --network flannel-vxlan' : needsTwoNodes(spec)

const needsVxlan = (spec: LabSpec): string | undefined =>
  spec.network === 'flannel-vxlan'
    ? needsTwoNodes(spec)
    : 'its nodes have no VXLAN of flannel; causeway lab up --network flannel-vxlan'

const needsHostGateways = (spec: LabSpec): string | undefined =>
  spec.network === 'flannel-host-gw'
    ? needsTwoNodes(spec)
    : 'its nodes have no host-gw of flannel; causeway lab up --network flannel-host-gw'

/** What the node's kernel has for the peer, in one family. */
function wayTo({ peer }: Scene, family: Family) {
  const cidr = peer.podCIDRs.find((prefix) => prefix.family === family)
  const remote = peer.addrs.find((addr) => addr.family === family)
  if (cidr === undefined || remote === undefined) return undefined
  return {
    cidr,
    remote,
    gateway: cidr.addr,
    mac: vtepMac(peer.name, family),
    device: flannelDevice(family, flannelVni),
  }
}

type Way = NonNullable<ReturnType<typeof wayTo>>

function each(scene: Scene, act: (way: Way, family: Family) => void): void {
  for (const family of scene.families) {
    const way = wayTo(scene, family)
    if (way) act(way, family)
  }
}

const routeOf = ({ spec }: Scene, { cidr, remote, gateway, device }: Way): string =>
  spec.network === 'flannel-vxlan' ? `${cidr} via ${gateway} dev ${device} onlink` : `${cidr} via ${remote} dev eth0`

export const flannelFaults: readonly Fault[] = [
  {
    name: 'flannel-route-gone',
    about: "somebody took flannel's routes to another node's pods, and it does not make them again",
    where: 'the routes in the table main of the node',
    codes: ['CW6501'],
    needs: needsFlannel,
    cause: (scene) =>
      each(scene, (way, family) => {
        const route = routeOf(scene, way)
        scene.run(scene.node.netns, `ip -${family} route del ${route}`, `ip -${family} route replace ${route}`)
      }),
  },
  {
    name: 'flannel-next-hop-wrong',
    about: "flannel's routes to another node's pods lead to an address that the node had before",
    where: 'the routes in the table main of the node',
    codes: ['CW6501'],
    needs: needsHostGateways,
    cause: (scene) =>
      each(scene, (way, family) => {
        const former = subnetCIDR(family, scene.node.subnet).at(unusedHost)
        const does = `ip -${family} route replace ${way.cidr} via ${former} dev eth0`
        scene.run(scene.node.netns, does, `ip -${family} route replace ${routeOf(scene, way)}`)
      }),
  },
  {
    name: 'flannel-neighbour-wrong-mac',
    about: "a node has a MAC of before for another node's VXLAN device",
    where: "the neighbour entries on flannel's devices of the node",
    codes: ['CW6502'],
    needs: needsVxlan,
    cause: (scene) =>
      each(scene, ({ device, gateway, mac, remote }) => {
        const set = (lladdr: string): string =>
          `ip neigh replace ${gateway} lladdr ${lladdr} dev ${device} nud permanent`
        const entry = `${unusedMac} dev ${device} dst ${remote} self`
        scene.run(scene.node.netns, `bridge fdb append ${entry} permanent`, `bridge fdb del ${entry}`)
        scene.run(scene.node.netns, set(unusedMac), set(mac))
      }),
  },
  {
    name: 'flannel-fdb-stale',
    about: "a node's VXLAN devices send packets for another node to an address that it had before",
    where: "the bridge entries of flannel's devices of the node",
    codes: ['CW6503'],
    needs: needsVxlan,
    cause: (scene) =>
      each(scene, ({ device, mac, remote }, family) => {
        const former = subnetCIDR(family, scene.node.subnet).at(unusedHost)
        const set = (dst: string): string => `bridge fdb replace ${mac} dev ${device} dst ${dst} self permanent`
        scene.run(scene.node.netns, set(String(former)), set(String(remote)))
      }),
  },
]
