// Conditions in the status of our own objects, in the form that all Kubernetes objects use
// (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md). Pure.
import { type Condition, fieldsOf } from './kubernetes.ts'

export type DatedCondition = Condition & { readonly observedGeneration?: number; readonly lastTransitionTime: string }

/** As much as `kubectl describe` shows whole on a screen. */
const maxMessageLength = 1024

/** metav1.Time: RFC 3339 in whole seconds. */
export function timeText(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** The conditions that stand in the status of `object`, as they are there. */
export function liveConditions(object: unknown): readonly Readonly<Record<string, unknown>>[] {
  const conditions = fieldsOf(fieldsOf(object)['status'])['conditions']
  return Array.isArray(conditions) ? conditions.map(fieldsOf) : []
}

/** Conditions as `object` is to have them: conditions are written whole, and the time of one that keeps its status is kept. */
export function dated(
  conditions: readonly Condition[],
  object: unknown,
  { nowMs, generation }: { readonly nowMs: number; readonly generation?: number | undefined },
): DatedCondition[] {
  const live = liveConditions(object)
  return conditions.map((condition) => {
    const before = live.find(({ type }) => type === condition.type)
    const since = before?.['status'] === condition.status ? before['lastTransitionTime'] : undefined
    return {
      ...condition,
      message: condition.message.slice(0, maxMessageLength),
      ...(generation !== undefined && { observedGeneration: generation }),
      lastTransitionTime: typeof since === 'string' ? since : timeText(nowMs),
    }
  })
}

/** How many names a message lists. */
const listed = 5

/** The texts of a message: the first few, and how many more there are. */
export function fewOf(texts: readonly string[]): string {
  const more = texts.length - listed
  return `${texts.slice(0, listed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
