// The problems of network policy (33xx), a part of problem-catalogue.ts.
import { type ProblemEntry } from './problem-entry.ts'

export const policyProblemCatalogue = {
  CW3303: {
    title: 'The rules of network policies cannot be written',
    about: 'kernel',
    how: "the kernel's answer when the agent read or changed the object",
    remedy:
      'what was written last stays in force, and no new pod gets its network; make what the kernel asks for in its words; the agent tries again by itself',
  },
  CW3305: {
    title: 'A policy cannot be enforced as it is written',
    about: 'cluster object',
    how: 'the policy as the API has it; causeway policy list shows the same',
    remedy:
      'correct the field that the message names; until then that part of the policy matches nothing, or denies all that it may have meant, and allows nothing more than was written',
  },
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
