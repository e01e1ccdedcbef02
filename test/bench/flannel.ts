// flannel's VXLAN as its backend programs it, made with iproute2: the reference for many nodes and for the overlay's speed.
// pkg/backend/vxlan of flannel: per remote node a permanent neighbour, an FDB entry and a route.
import { nodeAddrOf, podCIDROf } from './nodes-of.ts'
import { type BenchNetns } from './netns.ts'
import { type Rig } from './rig.ts'
import { type Program } from './spawner.ts'

export const flannelDevice = 'flannel.1'

function vtepMacOf(number: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => ((number >>> shift) & 0xff).toString(16).padStart(2, '0'))
  return `02:42:${bytes.join(':')}`
}

/** The device of node 1, and the bridge that pods would be on. */
export function prepareFlannel(host: BenchNetns): void {
  host.sh(`ip link add ${flannelDevice} type vxlan id 1 local ${nodeAddrOf(1)} dev eth0 dstport 8472 nolearning
    ip link set ${flannelDevice} up; ip addr add ${podCIDROf(1).at(0)}/32 dev ${flannelDevice}`)
}

/** The two programs that make everything for these nodes, from files that are prepared here. */
export function flannelBatch(rig: Rig, nodes: readonly number[]): Program[] {
  const overIp = nodes.flatMap((number) => {
    const cidr = podCIDROf(number)
    const gateway = cidr.at(0)
    return [
      `neigh replace ${gateway} lladdr ${vtepMacOf(number)} dev ${flannelDevice} nud permanent`,
      `route replace ${cidr} via ${gateway} dev ${flannelDevice} onlink`,
    ]
  })
  const overBridge = nodes.map(
    (number) => `fdb append ${vtepMacOf(number)} dev ${flannelDevice} dst ${nodeAddrOf(number)} self permanent`,
  )
  const program = (path: string, lines: readonly string[]): Program => ({
    path,
    args: ['-batch', rig.file('batch', `${lines.join('\n')}\n`)],
    env: {},
    stdin: '/dev/null',
    stdout: rig.path('output'),
  })
  return [program('/sbin/ip', overIp), program('/sbin/bridge', overBridge)]
}
