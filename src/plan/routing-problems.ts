// Problems of a node's routing that its operator should know: it is not as configured, or packets may be lost because of it. Pure.
import { type Problem, problem } from '#/model/problems.ts'
import { type RemoteNodes } from './remote-nodes.ts'

const toldCIDRs = 3

export type RoutingCircumstances = {
  /** The underlay's devices whose rp_filter is strict. */
  readonly strictDevices: readonly string[]
  /** The underlay's devices on which the node forwards no IPv4 packets. */
  readonly stoppedDevices: readonly string[]
  /** The underlay's devices that are down, or have no carrier. */
  readonly deadDevices: readonly { readonly device: string; readonly isUp: boolean }[]
  /** Whether all nodes are known and all of BGP's routes have arrived. */
  readonly isSettled: boolean
}

export function routingProblems(peers: RemoteNodes, circumstances: RoutingCircumstances): Problem[] {
  const { strictDevices, stoppedDevices, deadDevices, isSettled } = circumstances
  const problems = [
    ...strictDevices.map(strictProblem),
    ...stoppedDevices.map(stoppedProblem),
    ...deadDevices.map(deadProblem),
  ]
  if (isSettled && peers.routing === 'native' && peers.wayCounts.vxlan > 0)
    problems.push(problem('CW1204', `node/${peers.self.name}`, fallbackText(peers)))
  return problems
}

// A device name may contain dots, and sysctl(8) takes those literally only when the separators are slashes.

function strictProblem(device: string): Problem {
  const key = `net/ipv4/conf/${device}/rp_filter`
  return problem(
    'CW1203',
    `sysctl/${key}`,
    `rp_filter of ${device} is strict: packets of pods and replies to this node are dropped where the way back is another device, as it is behind a service or while the cluster's routing is switched`,
    { remedy: `sysctl -w ${key}=2, and the same in /etc/sysctl.d, or the next boot brings the strict one back` },
  )
}

function stoppedProblem(device: string): Problem {
  const key = `net/ipv4/conf/${device}/forwarding`
  return problem(
    'CW1305',
    `sysctl/${key}`,
    `${device} forwards no IPv4 packets: those for pods that come in by it without a tunnel, and replies to what pods ask outside of the cluster, are dropped`,
    { remedy: `sysctl -w ${key}=1, and the same where it is set to 0 (/etc/sysctl.d, the network's configuration)` },
  )
}

function deadProblem({ device, isUp }: RoutingCircumstances['deadDevices'][number]): Problem {
  const what = isUp ? 'has no carrier: nothing is at the other end of its cable, or what is there is off' : 'is down'
  const remedy = isUp
    ? `look at the cable, the port of the switch and, of a virtual machine, its network: "ethtool ${device}", "ip -s link show dev ${device}"`
    : `ip link set dev ${device} up; and see who sets it down`
  return problem('CW8104', `device/${device}`, `${device} ${what}; no packets leave or come by it`, { remedy })
}

/** The text of the one problem that covers all nodes reached through the tunnel for lack of a native way. */
function fallbackText({ plans, wayCounts }: RemoteNodes): string {
  const some: string[] = []
  for (const { verdicts } of plans.values()) {
    for (const { way, dst, node } of verdicts) if (way === 'vxlan') some.push(`${dst} of ${node}`)
    if (some.length >= toldCIDRs) break
  }
  const told = some.slice(0, toldCIDRs)
  const list = `${told.join(', ')}${wayCounts.vxlan > told.length ? ' and others' : ''}`
  return `routing is native, but VXLAN is used to ${list}, where BGP tells no way, or one over routers that need not know pods, and no subnet is shared`
}
