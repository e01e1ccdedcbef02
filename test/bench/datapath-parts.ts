// What parts of the bridge's path over VXLAN cost: they are taken out one at a time, on both nodes, and put back.
import { labProcesses } from '#/lab/processes.ts'
import { type Netns } from '#/sys/netns.ts'
import { type Case, peerOf } from './datapath-cases.ts'
import { type Path } from './flows.ts'
import { type BenchLab } from './lab.ts'
import { shellIn } from './netns.ts'

/** kill -9: packets go on, and what is changed by hand stays changed. */
export function killAgents(lab: BenchLab): void {
  for (const { pid, role } of labProcesses(lab.name)) if (role.startsWith('agent-')) process.kill(pid, 'SIGKILL')
}

type Part = 'filters' | 'reversePath' | 'ingress' | 'gro' | 'masquerade' | 'tunnel'
/** The commands that take a part out of a node's path, and that put it back. */
type Change = readonly [out: string, back: string]

function changes(number: number, node: Netns): Readonly<Record<Part, Change>> {
  const restore = (text: string): string => `nft -f - <<'EOF'\n${text}\nEOF`
  const table = restore(shellIn(node, 'nft list table inet causeway'))
  const ingress = restore(shellIn(node, 'nft list table netdev causeway'))
  const [route] = shellIn(node, 'ip route show proto 67 type unicast').trim().split('\n')
  // of the same metric, or it stands beside ours
  const metric = /metric (\d+)/.exec(route!)?.[1] ?? '0'
  const peer = peerOf(number)
  return {
    filters: [
      'for chain in raw-in raw-out node-in; do nft delete chain inet causeway $chain; done',
      `nft delete table inet causeway; ${table}`,
    ],
    reversePath: ['sysctl -qw net.ipv4.conf.cw-vxlan.rp_filter=0', 'sysctl -qw net.ipv4.conf.cw-vxlan.rp_filter=2'],
    // without the hook a frame must carry the MAC of the device it arrives on; a new MAC drops the neighbours
    ingress: [
      `ip link set cw-vxlan address 02:43:00:00:00:0${number}
       ip neigh replace 169.254.42.1 lladdr 02:43:00:00:00:0${peer} dev cw-vxlan nud permanent
       nft delete table netdev causeway`,
      `ip neigh replace 169.254.42.1 lladdr 02:43:57:ff:ff:ff dev cw-vxlan nud permanent; ${ingress}`,
    ],
    // GRO is left to the underlay where that has it
    gro: ['ethtool -K cw-vxlan gro on', 'ethtool -K cw-vxlan gro off'],
    masquerade: ['nft delete table inet causeway', table],
    tunnel: [
      `ip route replace ${route!.split(' ')[0]} via 172.30.1.1${peer} dev eth0 proto 67 metric ${metric}`,
      `ip route replace ${route}`,
    ],
  }
}

/** The whole path, and without parts of it. The agents must be dead, so that nobody mends what is taken out. */
export function partCases(path: Path, nodes: readonly Netns[]): Case[] {
  const each = nodes.map((node, index) => ({ node, change: changes(index + 1, node) }))
  const without = (name: string, ...left: readonly Part[]): Case => ({
    name,
    path,
    before: () => {
      for (const part of left) for (const { node, change } of each) shellIn(node, change[part][0])
    },
    after: () => {
      for (const part of left) for (const { node, change } of each) shellIn(node, change[part][1])
    },
  })
  return [
    without('Causeway as it is'),
    without('without its filter chains (who may send VXLAN, what pods may send to the node)', 'filters'),
    without('without the loose rp_filter of the tunnel', 'reversePath'),
    without('without the ingress hook of the tunnel', 'ingress'),
    without('without these three', 'filters', 'reversePath', 'ingress'),
    without('with GRO in the tunnel too, as flannel has it', 'gro'),
    without('without masquerade and connection tracking, and without filter chains', 'masquerade'),
    without('without the tunnel (plain route)', 'tunnel'),
  ]
}
