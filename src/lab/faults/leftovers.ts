// What other networks leave behind on a node.
import { type Fault, type Scene } from './fault.ts'
import { droppingSources, droppingUdp } from './classic-bpf.ts'
import { needsTwoNodes } from './shape.ts'
import { addClassic } from './traffic-control.ts'
import { tunnelPort } from './underlay.ts'

function bridgeWithGateway(scene: Scene): void {
  const { netns, podCIDRs } = scene.node
  scene.run(netns, 'ip link add name cni0 type bridge', 'ip link del dev cni0 type bridge')
  // before the addresses: a device that goes down loses those of IPv6
  scene.run(netns, 'ip link set dev cni0 up', 'ip link set dev cni0 down')
  for (const cidr of podCIDRs) {
    const address = `${cidr.at(1)}/${cidr.length} dev cni0`
    scene.run(netns, `ip addr add ${address} noprefixroute nodad`, `ip addr del ${address}`)
    // its route was there before Causeway's, so it comes first: a later one with the same metric counts for nothing
    const route = `${cidr} dev cni0 proto kernel${cidr.family === 4 ? ' scope link' : ' metric 100'}`
    scene.run(netns, `ip -${cidr.family} route prepend ${route}`, `ip -${cidr.family} route del ${route}`)
  }
}

export const leftoverFaults: readonly Fault[] = [
  {
    name: 'leftover-bridge',
    about: "flannel's bridge cni0 is still there, with the pod CIDR of the node",
    where: 'a bridge of the node with addresses, which bring routes',
    codes: ['CW1302'],
    cause: bridgeWithGateway,
  },
  {
    name: 'leftover-conflist',
    about: "another network's CNI configuration comes before Causeway's: new pods would get that network",
    where: 'a file in the folder of CNI configurations of the node',
    codes: ['CW3008'],
    cause: (scene) => {
      const plugins = [{ type: 'bridge', bridge: 'cni0', isGateway: true, ipam: { type: 'host-local' } }]
      const conflist = { cniVersion: '1.0.0', name: 'cbr0', plugins }
      scene.file(`${scene.confFolderOf(scene.node)}/05-other.conflist`, `${JSON.stringify(conflist, undefined, 2)}\n`)
    },
  },
  {
    name: 'leftover-program',
    about: 'a forgotten BPF program drops what leaves the node for pods of others, and nothing the other way round',
    where: 'a filter of tc at eth0 of the node',
    codes: ['CW1306'],
    doctor: ['CW6101'],
    needs: needsTwoNodes,
    cause: (scene) => {
      const { spec, node } = scene
      const sources = node.podCIDRs.map(({ family, addr, length }) => ({ family, bytes: addr.toBytes(), length }))
      const program = spec.routing === 'native' ? droppingSources(sources) : droppingUdp(tunnelPort)
      addClassic(scene, { netns: node.netns, device: 'eth0' }, 'egress', program)
    },
  },
]
