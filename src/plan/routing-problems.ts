// Problems of a node's routing that its operator should know: it is not as configured, or packets may be lost because of it. Pure.
import { type Problem, problem } from '#/model/problems.ts'
import { type RemoteNodes } from './remote-nodes.ts'

const toldCIDRs = 3

export type RoutingCircumstances = {
  /** The underlay's devices whose rp_filter is strict. */
  readonly strictDevices: readonly string[]
  /** Whether all nodes are known and all of BGP's routes have arrived. */
  readonly isSettled: boolean
}

export function routingProblems(peers: RemoteNodes, { strictDevices, isSettled }: RoutingCircumstances): Problem[] {
  const problems: Problem[] = []
  if (peers.routing !== 'vxlan' || peers.hasNativeSenders) {
    for (const device of strictDevices) {
      // a device name may contain dots, and sysctl(8) takes those literally only when the separators are slashes
      const key = `net/ipv4/conf/${device}/rp_filter`
      problems.push(
        problem(
          'CW1203',
          `sysctl/${key}`,
          `rp_filter of ${device} is strict: packets of other nodes' pods are dropped where the way back is another device, as it is while the cluster's routing is switched`,
          { remedy: `sysctl -w ${key}=2, and the same in /etc/sysctl.d, or the next boot brings the strict one back` },
        ),
      )
    }
  }
  if (isSettled && peers.routing === 'native' && peers.wayCounts.vxlan > 0)
    problems.push(problem('CW1204', `node/${peers.self.name}`, fallbackText(peers)))
  return problems
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
  return `routing is native, but VXLAN is used to ${list}, where BGP tells no way and no subnet is shared`
}
