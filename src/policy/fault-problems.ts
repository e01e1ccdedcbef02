// What of a policy cannot be enforced as written, as problems.
import { type Problem, problem } from '#/model/problems.ts'
import { type PolicyFault } from './policy.ts'

/** One problem for each fault of the policy with this key. */
export function faultProblems(policy: string, faults: readonly PolicyFault[]): Problem[] {
  return faults.map(({ field, why }) => problem('CW3305', policy, `${field}: ${why}`))
}
