// Whether the token bucket that limits a pod is where it was made.
import { type RootQdisc, tbfReplace } from '#/kernel/qdiscs.ts'
import { type Operation } from '#/kernel/netlink.ts'
import { type Failure } from '#/reconcile/status.ts'
import { type Tbf } from '#/wire/netlink/qdisc.ts'

export type LimitVerdict =
  | { readonly kind: 'held' }
  /** Somebody removed or changed the bucket. */
  | { readonly kind: 'lost'; readonly remedy: Operation }
  /** Somebody has put another discipline in its place, which may be on purpose. */
  | { readonly kind: 'displaced'; readonly failure: Failure }

/** `read` gives the discipline at the device's root, for a device with a limit. The burst is not compared: the reference plugin for bandwidth computes another one. */
export function judgeLimit(
  device: { readonly index: number; readonly name: string },
  wanted: Tbf | undefined,
  read: () => RootQdisc | undefined,
): LimitVerdict {
  if (wanted === undefined) return { kind: 'held' }
  const found = read()
  if (found?.tbf?.rateBytesPerSecond === wanted.rateBytesPerSecond) return { kind: 'held' }
  if (found?.maker !== 'other') return { kind: 'lost', remedy: tbfReplace(device, wanted) }
  return {
    kind: 'displaced',
    failure: {
      message: `another's queueing discipline (${found.kind}) on ${device.name} stands in place of the pod's limit of ${wanted.rateBytesPerSecond * 8} bit/s`,
      remedy: `see it with "tc -s qdisc show dev ${device.name}"; if nothing needs it: tc qdisc del dev ${device.name} root; the limit then comes back by itself. If it is wanted, take the limit off the pod (its bandwidth annotations)`,
    },
  }
}
