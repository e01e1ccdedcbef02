// Faults of the network between the nodes: what no node can see in its own kernel.
import { networkSettings } from '#/settings/agent-settings.ts'
import { droppingShare } from './classic-bpf.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsTunnel, needsTwoNodes } from './shape.ts'
import { addClassic } from './traffic-control.ts'

/** The port of the lab's agents: the default of their setting. */
export const tunnelPort = Number(networkSettings.vxlanPort.default)

/** By how much the underlay carries less than what it is taken for. */
const narrowerByBytes = 100
const lostShare = 0.2

/** A group of rules at the node's port of the switch, such as a cloud has. */
function securityGroup(scene: Scene, hooks: readonly ('ingress' | 'egress')[]): void {
  const { netns, device } = scene.portOf(scene.node)
  const body = hooks.flatMap((hook) => [
    `add chain @ ${hook}-rules { type filter hook ${hook} device "${device}" priority 0; policy accept; }`,
    `add rule @ ${hook}-rules udp dport ${tunnelPort} drop`,
  ])
  scene.table(netns, 'netdev', 'security-group', body)
}

function narrowed(scene: Scene, { netns, device }: { netns: string; device: string }): void {
  // kernels remember for ten minutes what a way carries
  for (const { netns: node } of scene.nodes)
    for (const family of scene.families) scene.restore(node, `ip -${family} route flush cache`)
  const before = scene.spec.underlayMtuBytes
  const set = (bytes: number): string => `ip link set dev ${device} mtu ${bytes}`
  scene.run(netns, set(before - narrowerByBytes), set(before))
}

export const underlayFaults: readonly Fault[] = [
  {
    name: 'overlay-port-blocked',
    about: "the network drops the tunnel's packets to and from a node",
    where: "an nftables table at the node's port of the switch",
    codes: ['CW1306'],
    doctorWithFlannel: ['CW6102'],
    needs: needsTunnel,
    cause: (scene) => securityGroup(scene, ['ingress', 'egress']),
  },
  {
    name: 'overlay-port-blocked-one-way',
    about: "the network drops the tunnel's packets to a node, and not those from it",
    where: "an nftables table at the node's port of the switch",
    codes: ['CW1306'],
    doctorWithFlannel: ['CW6102'],
    needs: needsTunnel,
    cause: (scene) => securityGroup(scene, ['egress']),
  },
  {
    name: 'underlay-mtu-silent',
    about:
      'the network carries smaller packets to and from a node than its devices say, and tells nobody of those it drops',
    where: "the MTU of the node's port of the switch",
    codes: ['CW8101'],
    needs: needsTwoNodes,
    cause: (scene) => narrowed(scene, scene.portOf(scene.node)),
  },
  {
    name: 'underlay-mtu-told',
    about: 'a router carries smaller packets than the devices of nodes say, and tells the senders',
    where: "the MTU of the router's device",
    codes: ['CW8101'],
    needs: ({ racks, subnets, routing, families }) => {
      if (racks === undefined && subnets < 2)
        return 'no router is between its nodes; causeway lab up --subnets 2, or --racks 2'
      // the tunnel lets routers cut its IPv4 packets in pieces
      return routing !== 'native' && families !== 'ipv6'
        ? 'routers cut the packets of a tunnel over IPv4 in pieces; causeway lab up --families ipv6, or --routing native with --racks 2'
        : undefined
    },
    cause: (scene) => {
      if (scene.spec.racks === undefined) return narrowed(scene, scene.bridgeOf(scene.node))
      // both ends: one alone would drop without a word what comes from the other
      for (const end of scene.uplinkOf(scene.node)) narrowed(scene, end)
    },
  },
  {
    name: 'packet-loss',
    about: `the network loses one packet in five on the way to a node`,
    where: "a filter of tc at the node's port of the switch",
    codes: ['CW8102'],
    needs: needsTwoNodes,
    cause: (scene) => addClassic(scene, scene.portOf(scene.node), 'egress', droppingShare(lostShare)),
  },
  {
    name: 'cable-unplugged',
    about: "a node's device of the underlay has no carrier",
    where: "the state of the node's port of the switch",
    codes: ['CW8104', 'CW1306'],
    codesInRacks: ['CW8104', 'CW1201'],
    doctor: ['CW8104'],
    needs: needsTwoNodes,
    cause: (scene) => {
      const { netns, device } = scene.portOf(scene.node)
      scene.run(netns, `ip link set dev ${device} down`, `ip link set dev ${device} up`)
    },
  },
  {
    name: 'neighbour-wrong-mac',
    about: 'a node has a wrong MAC for what its packets to another node go to next',
    where: 'a permanent neighbour entry on the device of the underlay',
    codes: ['CW1306'],
    codesInRacks: ['CW1201'],
    doctor: ['CW8105'],
    needs: needsTwoNodes,
    cause: (scene) => {
      for (const addr of scene.nextHopsTo(scene.peer)) {
        const entry = `ip neigh show nud permanent to ${addr} dev eth0`
        if (scene.read(scene.node.netns, entry).trim() !== '')
          throw new Error(`${scene.node.name} has a permanent neighbour entry for ${addr} already`)
        scene.run(
          scene.node.netns,
          `ip neigh replace ${addr} lladdr 02:00:5e:00:53:01 nud permanent dev eth0`,
          `ip neigh del ${addr} dev eth0`,
        )
      }
    },
  },
]
