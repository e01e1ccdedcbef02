// What keeps a pod of the test from being ready, as its status and its Events say. Pure.
import { conditionOf, fieldsOf, type KubeObject, listOf, type Pod, podAddressesOf, textOf } from '#/model/kubernetes.ts'

export function isReady(pod: Pod): boolean {
  return conditionOf(pod, 'Ready').status === 'True' && podAddressesOf(pod).addrs.length > 0
}

/** Reasons for which a container waits that time does not mend. */
const hopeless = new Set([
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'CreateContainerConfigError',
  'CreateContainerError',
  'CrashLoopBackOff',
  'RunContainerError',
])

type Waiting = { readonly reason: string; readonly message: string; readonly image: string }

function waitingOf(pod: Pod): Waiting | undefined {
  const [status] = listOf(fieldsOf(pod.status)['containerStatuses']).map(fieldsOf)
  if (status === undefined) return undefined
  const { reason, message } = fieldsOf(fieldsOf(status['state'])['waiting'])
  const [container] = listOf(fieldsOf(pod.spec)['containers']).map(fieldsOf)
  const image = textOf(status['image']) || textOf(container?.['image'])
  return textOf(reason) === '' ? undefined : { reason: textOf(reason), message: textOf(message), image }
}

/** Whether nothing is to be expected of it any more. */
export function isHopeless(pod: Pod): boolean {
  const waiting = waitingOf(pod)
  return (waiting !== undefined && hopeless.has(waiting.reason)) || fieldsOf(pod.status)['phase'] === 'Failed'
}

/** An Event, as far as it is read. */
export type EventObject = KubeObject & {
  readonly type?: unknown
  readonly reason?: unknown
  readonly message?: unknown
  readonly involvedObject?: unknown
  readonly lastTimestamp?: unknown
}

/** The last warning about the pod. */
export function warningOf({ metadata: { name, uid } }: Pod, events: readonly EventObject[]): string | undefined {
  const own = events.filter(({ type, involvedObject }) => {
    const object = fieldsOf(involvedObject)
    return type === 'Warning' && object['kind'] === 'Pod' && object['name'] === name && object['uid'] === uid
  })
  const last = own.toSorted((one, other) => textOf(one.lastTimestamp).localeCompare(textOf(other.lastTimestamp))).at(-1)
  return last === undefined ? undefined : `${textOf(last.reason)}: ${textOf(last.message)}`
}

const ofImages = /image|pull/i

/** `isOfImage`: its node and network have nothing to do with it. */
export type WhyNotReady = { readonly text: string; readonly remedy?: string; readonly isOfImage?: true }

/** Why the pod is not ready, and what may be done. */
export function whyNotReady(pod: Pod, events: readonly EventObject[]): WhyNotReady {
  const waiting = waitingOf(pod)
  const warning = warningOf(pod, events)
  if (waiting !== undefined && ofImages.test(waiting.reason))
    return {
      text: `its image ${waiting.image} cannot be had: ${waiting.reason}: ${waiting.message || (warning ?? 'the kubelet says no more')}`,
      remedy: '--image NAME names an image with a shell that the nodes can pull',
      isOfImage: true,
    }
  if (warning !== undefined) return { text: warning }
  if (waiting !== undefined) return { text: `${waiting.reason}: ${waiting.message || 'the kubelet says no more'}` }
  const { status, reason, message } = conditionOf(pod, 'Ready')
  if (status === 'False') return { text: `it is not ready: ${[reason, message].filter(Boolean).join(': ')}` }
  return {
    text: 'nothing is heard of it from its node',
    remedy: `look whether the kubelet of the node runs: kubectl describe pod -n ${pod.metadata.namespace ?? ''} ${pod.metadata.name}, while the test runs`,
  }
}
