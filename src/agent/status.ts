// What an agent tells about itself: the answer of /status, which CLI and web page show.
import { type ReflectorStatus } from '#/cluster/reflector.ts'
import { type Problem } from '#/model/problems.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'

export type EndpointStatus = {
  readonly pod: string
  readonly containerId: string
  readonly ifName: string
  readonly hostDevice: string
  readonly addrs: readonly string[]
  readonly isReady: boolean
}

export type AgentStatus = {
  readonly node: string
  readonly pid: number
  readonly podCIDRs: readonly string[]
  /** Pods can be wired. */
  readonly isReady: boolean
  /** Why not, when not. */
  readonly reason?: string
  readonly api: ReflectorStatus & { readonly inSync: boolean; readonly nodes: number }
  readonly objects: readonly ObjectStatus[]
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
