// Converts a verdict of the plan to the form in which the agent's API returns it.
import { type VerdictStatus } from '#/api/schemas/status.ts'
import { type Verdict } from '#/model/verdict.ts'

export function verdictStatus(verdict: Verdict): VerdictStatus {
  const { dst, node, way, reason } = verdict
  const common = { podCIDR: String(dst), node, way, reason }
  switch (verdict.way) {
    case 'vxlan': {
      const { tunnel, mtuBytes } = verdict
      const { src, dst: remote, gateway, vtepMac } = tunnel
      const ends = { src: String(src), dst: String(remote), gateway: String(gateway) }
      return { ...common, mtuBytes, tunnel: { ...ends, ...(vtepMac !== undefined && { vtepMac }) } }
    }
    case 'native': {
      const { origin, nextHops, mtuBytes } = verdict
      const hops = nextHops.map(({ device, gateway }) => ({ device, gateway: String(gateway) }))
      return { ...common, ...(mtuBytes !== undefined && { mtuBytes }), origin, nextHops: hops }
    }
    case 'none':
      return common
    default:
      return verdict satisfies never
  }
}
