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

/** An address of this node's pods that no pod has. */
export function nobodyStep(addr: string, at: At): PredictedStep {
  return stops('deliver', `no pod of this node has ${addr}`, at, {
    remedy: 'see which pods have which addresses: kubectl get pods -A -o wide, and causeway ipam',
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
