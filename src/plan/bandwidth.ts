// Turns the limits that a runtime passes (CNI capability "bandwidth": bits per second and bits of burst) into token buckets.
import { type Bandwidth } from '#/wire/cni/index.ts'
import { type Tbf } from '#/wire/netlink/qdisc.ts'

export type PodLimits = {
  /** The limit on what the pod receives. */
  readonly ingress?: Tbf
  /** The limit on what the pod sends. */
  readonly egress?: Tbf
}

/** How long a packet may wait in the queue before it is dropped; the bandwidth reference plugin uses the same number. */
const latencySeconds = 0.025
/** The smallest bucket, the size of two jumbo frames: a packet larger than the bucket would never get through. */
const leastBurstBytes = 18_432
/** The length of a burst when the runtime passes none. */
const usualBurstSeconds = 0.1
/**
 * The longest burst at the limit's rate. A larger bucket would let a pod send at full speed for so long that the limit would not
 * show. containerd passes a burst of 2^32-1 bits when none was configured.
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
