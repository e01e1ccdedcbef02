// The steps of a packet's predicted way, made of facts that the kernel has told.
import { type StepKind } from '#/model/trace.ts'
import { type Step } from './types.ts'

/** A step, and the pod in whose namespace it is where that is not the node's. */
export type PredictedStep = Step & { readonly pod?: string }

/** Where a step is: a device, and the pod in whose namespace that is. */
export type At = { readonly device?: string; readonly pod?: string; readonly next?: string }

/** What mends an obstacle. The code is of docs/problems.md, where one fits. */
export type Mend = { readonly code?: string; readonly remedy?: string }

export function passes(kind: StepKind, text: string, at: At = {}): PredictedStep {
  return { kind, text, isObstacle: false, ...at }
}

export function stops(kind: StepKind, text: string, at: At = {}, mend: Mend = {}): PredictedStep {
  const { code, remedy } = mend
  return {
    kind,
    text,
    isObstacle: true,
    ...at,
    ...(code !== undefined && { code }),
    ...(remedy !== undefined && { remedy }),
  }
}

/** A packet as far as a prediction depends on it. */
export type PacketFacts = {
  readonly family: 4 | 6
  /** With its IP header. */
  readonly sizeBytes: number
  /** Whether routers may cut it up; those of IPv6 never do. */
  readonly mayFragment: boolean
}

/** An address of a node's pods that none of them has. */
export type NobodyFacts = {
  readonly at: At & { readonly device: string }
  readonly node: string
  readonly addr: string
  /** What the kernel knows of a neighbour with it on the device. */
  readonly neighbour?: { readonly state: string; readonly mac?: string }
}

export function nobodyStep({ at, node, addr, neighbour }: NobodyFacts): PredictedStep {
  const { state = 'none', mac } = neighbour ?? {}
  const known = `no pod of ${node} has ${addr}: its agent knows of none, and`
  // it has answered within the last half minute
  if (state === 'reachable' && mac !== undefined)
    return passes('deliver', `${known} somebody on ${at.device} answers for it: ${mac}`, at)
  const said =
    state === 'incomplete' || state === 'failed'
      ? `nobody on ${at.device} answers when the kernel asks for its MAC`
      : mac === undefined
        ? 'the kernel knows no neighbour with it'
        : `the kernel has ${mac} for it from before (${state})`
  return stops('deliver', `${known} ${said}`, at, {
    remedy:
      'see which pods have which addresses: kubectl get pods -A -o wide, and causeway ipam show; the pod that had it may be gone',
  })
}

/** An address of the cluster's pods in a pod CIDR that no node has. */
export function noOwnerStep(addr: string, at: At): PredictedStep {
  return stops('route', `no node has a pod CIDR with ${addr}`, at, {
    remedy:
      'see which nodes have which pod CIDRs: kubectl get nodes -o custom-columns=NAME:.metadata.name,PODCIDRS:.spec.podCIDRs; the pod, or its node, is gone',
  })
}

/** A device of the underlay that nothing leaves by; undefined for one that may be left by. */
export function deadDevice({
  name,
  isUp,
  hasCarrier,
}: {
  readonly name: string
  readonly isUp: boolean
  readonly hasCarrier: boolean
}): PredictedStep | undefined {
  if (isUp && hasCarrier) return undefined
  const remedy = isUp
    ? `look at the cable, the port of the switch and, of a virtual machine, its network: ip -s link show dev ${name}`
    : `ip link set dev ${name} up; and see who sets it down`
  return stops('route', `${name} ${isUp ? 'has no carrier' : 'is down'}`, { device: name }, { code: 'CW8104', remedy })
}
