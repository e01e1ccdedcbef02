// What an agent tells about itself: the answer of /status, which CLI and web page show.
import { type ReflectorStatus } from '#/cluster/reflector.ts'
import { type Problem } from '#/model/network.ts'
import { type NativeOrigin, type Verdict } from '#/model/verdict.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { type Readiness } from './readiness.ts'

export type EndpointStatus = {
  readonly pod: string
  readonly containerId: string
  readonly ifName: string
  readonly hostDevice: string
  readonly addrs: readonly string[]
  readonly isReady: boolean
}

/** A verdict of the plan (model/verdict.ts) as text. */
export type VerdictStatus = {
  readonly podCIDR: string
  readonly node: string
  readonly way: Verdict['way']
  readonly reason: string
  readonly mtuBytes?: number
  /** Of the tunnel. */
  readonly tunnel?: { readonly src: string; readonly dst: string }
  /** Who told of a native way, and its equal paths. */
  readonly origin?: NativeOrigin
  readonly nextHops?: readonly { readonly device: string; readonly gateway: string }[]
}

export function verdictStatus(verdict: Verdict): VerdictStatus {
  const { dst, node, way, reason } = verdict
  const common = { podCIDR: String(dst), node, way, reason }
  switch (verdict.way) {
    case 'vxlan': {
      const { tunnel, mtuBytes } = verdict
      return { ...common, mtuBytes, tunnel: { src: String(tunnel.src), dst: String(tunnel.dst) } }
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

export type AgentStatus = {
  readonly node: string
  readonly pid: number
  readonly podCIDRs: readonly string[]
  readonly readiness: Pick<Readiness, 'state' | 'reasons'>
  readonly api: ReflectorStatus & { readonly inSync: boolean; readonly nodes: number }
  readonly objects: readonly ObjectStatus[]
  /** Which way packets go to each pod CIDR of another node, and why; sorted. */
  readonly verdicts: readonly VerdictStatus[]
  readonly endpoints: readonly EndpointStatus[]
  readonly problems: readonly Problem[]
}

export type PlannedCommand = {
  readonly kind: string
  readonly verb: string
  readonly key: string
  readonly commands: readonly string[]
}

export type AgentPlan = {
  readonly node: string
  readonly changes: readonly PlannedCommand[]
  readonly problems: readonly Problem[]
}
