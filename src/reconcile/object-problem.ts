// A kernel object that cannot be made, as a problem. Pure.
import { objectKinds } from '#/model/object-kinds.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { type ObjectStatus } from './status.ts'

/** The problem to report for an object; undefined unless the object is in error, and nobody else tells why. */
export function problemOfObject({ kind, key, state, message = '', remedy, isTold }: ObjectStatus): Problem | undefined {
  if (state !== 'error' || isTold) return undefined
  return problem(objectKinds[kind].code, `${kind}/${key}`, message, remedy === undefined ? {} : { remedy })
}

/** The problems to report for those of the objects that are in error. */
export function problemsOfObjects(objects: readonly ObjectStatus[]): Problem[] {
  return objects.flatMap((each) => problemOfObject(each) ?? [])
}
