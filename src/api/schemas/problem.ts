// The schema of a problem in answers: something that keeps Causeway from serving an object.
import { object, string } from 'valibot'
import { about, type ValueOf } from '../value.ts'

export const problem = object({
  code: about(string(), 'stable for ever, such as CW1103; docs/problems.md has a section for each'),
  object: about(string(), 'what it is about, such as node/node-2'),
  message: about(string(), 'what is known'),
  how: about(string(), 'how it is known'),
  remedy: about(string(), 'what to do; safe to follow'),
})

/** A problem as an agent reports it. An agent of another version may use codes that this program does not know. */
export type ToldProblem = ValueOf<typeof problem>
