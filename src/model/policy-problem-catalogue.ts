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
} as const satisfies Readonly<Record<`CW${number}`, ProblemEntry>>
