// A kernel object that cannot be made, as a problem. Pure.
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type ObjectStatus } from './status.ts'

/** By the kind of driver. */
const codeOfKind: Readonly<Record<string, ProblemCode>> = {
  link: 'CW2001',
  sysctl: 'CW2002',
  port: 'CW2003',
  address: 'CW2004',
  neighbour: 'CW2005',
  table: 'CW2006',
  forward: 'CW2007',
  route: 'CW2008',
}

/** The problem that an object is; undefined unless it is in error. Throws for a kind without a code. */
export function problemOfObject({ kind, key, state, message = '', remedy }: ObjectStatus): Problem | undefined {
  if (state !== 'error') return undefined
  const code = codeOfKind[kind]
  if (code === undefined) throw new Error(`kernel objects of kind ${kind} have no problem code`)
  return problem(code, `${kind}/${key}`, message, remedy === undefined ? {} : { remedy })
}
