// The schema of the changes that an agent would make in its kernel now.
import { array, object, string } from 'valibot'
import { about, type ValueOf } from '../value.ts'
import { problem } from './problem.ts'

export const agentPlan = object({
  node: string(),
  changes: array(
    object({
      kind: string(),
      verb: string(),
      key: string(),
      commands: about(array(string()), 'the same as ip, bridge and nft commands'),
    }),
  ),
  problems: array(problem),
})

export type AgentPlan = ValueOf<typeof agentPlan>
