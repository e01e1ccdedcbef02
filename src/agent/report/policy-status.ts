// Network policy as `causeway status` tells it.
import { type AgentStatus } from '#/api/schemas/status.ts'
import { type PolicyPart } from '../policy-part.ts'

export function policyStatus({ state, view, form }: PolicyPart): NonNullable<AgentStatus['policy']> {
  const { kind, why, sinceMs } = state
  const selecting = new Set([...form.policies.values()].map(({ policy }) => policy))
  return {
    state: kind,
    ...(why !== undefined && { why }),
    ...(sinceMs !== undefined && { sinceMs }),
    policies: view.policies.size,
    selecting: selecting.size,
  }
}
