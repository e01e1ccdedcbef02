// From the limits that a runtime tells (CNI capability "bandwidth": bits and bits per second) to token buckets.
import { type Bandwidth } from '#/wire/cni/index.ts'
import { type Tbf } from '#/wire/netlink/qdisc.ts'

export type PodLimits = {
  /** Towards the pod. */
  readonly ingress?: Tbf
  /** The limit on what the pod sends. */
  readonly egress?: Tbf
}

/** How long a packet may wait before it is rather dropped; the reference plugin's number. */
const latencySeconds = 0.025
/** Two jumbo frames: a packet that is larger than the bucket would never get through. */
const leastBurstBytes = 18_432
/** The length of a burst when none is configured. */
const usualBurstSeconds = 0.1
/**
 * A bucket of more than this would let a pod go at full speed for so long that nobody could see the limit. containerd tells
 * 2^32-1 bits when it means that nobody told a burst.
 */
const longestBurstSeconds = 1

function bucket(rate: number | undefined, burst: number | undefined): Tbf | undefined {
  if (rate === undefined || rate === 0) return undefined
  const rateBytesPerSecond = Math.max(1, Math.floor(rate / 8))
  const told = burst === undefined || burst === 0 ? rateBytesPerSecond * usualBurstSeconds : burst / 8
  const burstBytes = Math.round(Math.max(leastBurstBytes, Math.min(told, rateBytesPerSecond * longestBurstSeconds)))
  return {
    rateBytesPerSecond,
    burstBytes,
    limitBytes: Math.round(rateBytesPerSecond * latencySeconds) + burstBytes,
  }
}

export function podLimits(bandwidth: Bandwidth): PodLimits {
  const ingress = bucket(bandwidth.ingressRate, bandwidth.ingressBurst)
  const egress = bucket(bandwidth.egressRate, bandwidth.egressBurst)
  return { ...(ingress && { ingress }), ...(egress && { egress }) }
}
