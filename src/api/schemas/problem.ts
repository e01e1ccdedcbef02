// Something that keeps Causeway from serving an object, as answers tell it.
import { object, string } from 'valibot'
import { about } from '../value.ts'

export const problem = object({
  object: about(string(), 'what it is about, such as node/node-2'),
  message: about(string(), 'what is wrong, and what to do'),
})
