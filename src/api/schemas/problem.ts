// Something that keeps Causeway from serving an object, as answers tell it.
import { object, string } from 'valibot'
import { about, type ValueOf } from '../value.ts'

export const problem = object({
  code: about(string(), 'stable for ever, such as CW1103; docs/problems.md has a section for each'),
  object: about(string(), 'what it is about, such as node/node-2'),
  message: about(string(), 'what is known'),
  how: about(string(), 'how it is known'),
  remedy: about(string(), 'what to do; safe to follow'),
})

/** As an agent tells it: one of another version may have codes that this one does not know. */
export type ToldProblem = ValueOf<typeof problem>
