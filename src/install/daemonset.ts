// A DaemonSet as the API shows it: its containers, and how far its controller has come with it.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, sleep } from '#/cluster/clock.ts'
import { fieldsOf, type KubeObject } from '#/model/kubernetes.ts'
import { pathOf } from './apply.ts'

const pollMs = 1000

export type DaemonSet = KubeObject & { readonly spec?: unknown; readonly status?: unknown }

export function daemonSetPath(namespace: string, name: string): string {
  return pathOf({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name, namespace } })
}

/** The container of this name in the pods that it makes, or undefined. */
export function containerOf(daemonSet: DaemonSet, field: 'containers' | 'initContainers', name: string) {
  const pod = fieldsOf(fieldsOf(fieldsOf(daemonSet.spec)['template'])['spec'])
  const containers = pod[field]
  return Array.isArray(containers) ? containers.map(fieldsOf).find((each) => each['name'] === name) : undefined
}

export type Progress = {
  /** Nodes that are to have a pod. */
  readonly wanted: number
  /** Nodes whose pod is of the current template and ready. */
  readonly done: number
  /** Whether the counts are about the current template. */
  readonly isCurrent: boolean
}

export function isDone({ wanted, done, isCurrent }: Progress): boolean {
  return isCurrent && done >= wanted
}

function progressOf(live: DaemonSet): Progress {
  const { generation } = fieldsOf(live.metadata)
  const status = fieldsOf(live.status)
  const count = (field: string): number => Number(status[field] ?? 0)
  return {
    wanted: count('desiredNumberScheduled'),
    done: Math.min(count('updatedNumberScheduled'), count('numberReady')),
    isCurrent: count('observedGeneration') >= Number(generation ?? 0),
  }
}

export type Wait = { readonly timeoutMs: number; readonly clock: Clock; readonly signal?: AbortSignal }

/** Waits until the pod of every node is ready, for `timeoutMs` at most, or until the signal aborts; returns how far it came. */
export async function untilReady(
  client: ApiClient,
  path: string,
  { timeoutMs, clock, signal }: Wait,
): Promise<Progress> {
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const never = new AbortController().signal
  for (;;) {
    const progress = progressOf(await client.get<DaemonSet>(path))
    if (isDone(progress) || signal?.aborted === true || clock.monotonicMs() >= deadlineMs) return progress
    await sleep(clock, pollMs, signal ?? never)
  }
}
