// Faults of routes, rules and addresses of others on a node.
import { type Prefix } from '#/lib/addr.ts'
import { routeProtocol } from '#/model/names.ts'
import { subnetCIDR } from '../spec.ts'
import { type Fault, type Scene } from './fault.ts'
import { needsTwoNodes } from './shape.ts'

/** The number of the rule and of its table: what a well-known VPN uses. */
const vpnTable = 5270
const unusedHost = 250

/** An address of the node's subnet that no node has, or has any more. */
function formerNode(scene: Scene, { family }: Prefix): string {
  return String(subnetCIDR(family, scene.node.subnet).at(unusedHost))
}

function addRoute(scene: Scene, family: 4 | 6, route: string): void {
  scene.run(scene.node.netns, `ip -${family} route add ${route}`, `ip -${family} route del ${route}`)
}

/** The lower half of a prefix, in which the lab's pods have their addresses. */
function halfOf({ addr, length }: Prefix): string {
  return `${addr}/${length + 1}`
}

/** Adds a route of this kind for half of each pod CIDR of the other node: it is more specific than Causeway's. */
function addHalves(scene: Scene, route: (half: string, cidr: Prefix) => string): void {
  for (const cidr of scene.peer.podCIDRs) addRoute(scene, cidr.family, route(halfOf(cidr), cidr))
}

export const routeFaults: readonly Fault[] = [
  {
    name: 'rule-before-main',
    about: "a VPN's rule leads the packets of pods into a table with a route that covers the other nodes' pods",
    where: `rule ${vpnTable}, its table and its device on the node`,
    codes: ['CW1301'],
    needs: needsTwoNodes,
    cause: (scene) => {
      const { netns } = scene.node
      scene.run(netns, 'ip link add name vpn0 type bridge', 'ip link del dev vpn0 type bridge')
      scene.run(netns, 'ip link set dev vpn0 up', 'ip link set dev vpn0 down')
      for (const cidr of scene.spec.clusterCIDRs) {
        addRoute(scene, cidr.family, `${cidr} dev vpn0 table ${vpnTable}`)
        const rule = `pref ${vpnTable} to ${cidr} lookup ${vpnTable}`
        scene.run(scene.node.netns, `ip -${cidr.family} rule add ${rule}`, `ip -${cidr.family} rule del ${rule}`)
      }
    },
  },
  {
    name: 'specific-route',
    about:
      "another network's route, more specific than Causeway's, leads packets for another node's pods to a node that is gone",
    where: 'a route in the table main of the node',
    codes: ['CW1302'],
    needs: needsTwoNodes,
    cause: (scene) =>
      addHalves(scene, (half, cidr) => `${half} via ${formerNode(scene, cidr)} dev eth0 proto static metric 5`),
  },
  {
    name: 'blackhole-route',
    about: "a route drops packets for another node's pods without a word",
    where: 'a route in the table main of the node',
    codes: ['CW1302'],
    needs: needsTwoNodes,
    cause: (scene) => addHalves(scene, (half) => `blackhole ${half} proto static metric 5`),
  },
  {
    name: 'prohibit-route',
    about: "a route refuses packets for another node's pods, and tells the senders",
    where: 'a route in the table main of the node',
    codes: ['CW1302'],
    needs: needsTwoNodes,
    cause: (scene) => addHalves(scene, (half) => `prohibit ${half} proto static metric 5`),
  },
  {
    name: 'foreign-address',
    about: 'a node has the addresses of a pod of another node, and keeps every packet to it',
    where: 'addresses on the device lo of the node',
    codes: ['CW1303'],
    needs: needsTwoNodes,
    cause: (scene) => {
      for (const addr of scene.peerPod.addrs) {
        const address = `${addr}/${addr.bits} dev lo`
        scene.run(scene.node.netns, `ip addr add ${address}`, `ip addr del ${address}`)
      }
    },
  },
  {
    name: 'routes-deleted',
    about: "a network manager deletes the routes to another node's pods again and again; they are back after a moment",
    where: 'a process on the node',
    codes: ['CW2009'],
    needs: needsTwoNodes,
    cause: (scene) => {
      const deletions = scene.peer.podCIDRs.map(
        (cidr) => `ip -${cidr.family} route del ${cidr} proto ${routeProtocol} 2>/dev/null`,
      )
      scene.daemon(scene.node.netns, ['sh', '-c', `while sleep 0.1; do ${deletions.join('; ')}; done`])
    },
  },
]
