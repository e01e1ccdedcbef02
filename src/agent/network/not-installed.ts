// Why BGP's routes are not in the kernel, or not used there: what the plan refused, and what the kernel did not take or passes over. Pure.
import { type ObjectStatus } from '#/reconcile/status.ts'

export type NotInstalledFacts = {
  /** By prefix, why the plan has no route for what BGP told. */
  readonly planned: ReadonlyMap<string, string>
  /** Kernel objects in error. */
  readonly failures: readonly ObjectStatus[]
  /** Whether BGP has told of the prefix. */
  readonly isLearned: (prefix: string) => boolean
}

/** By prefix, why a learned route is not in use; it completes "received, not installed, because". */
export function notInstalledOf({ planned, failures, isLearned }: NotInstalledFacts): ReadonlyMap<string, string> {
  // what the plan uses another way for is not BGP's route, whatever became of it
  const refused = failures.filter(({ kind, key }) => kind === 'route' && isLearned(key) && !planned.has(key))
  // the plan may have refused a hundred thousand, and the kernel hardly ever refuses any
  if (refused.length === 0) return planned
  return new Map([...planned, ...refused.map(({ key, message = '' }) => [key, `the kernel: ${message}`] as const)])
}
