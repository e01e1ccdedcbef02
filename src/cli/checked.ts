// Makes invalid settings usage errors, whether an option gives them or the environment.
import { messageOf } from '#/lib/log.ts'
import { UsageError } from './args.ts'

/** Returns what `read` returns; an error that it throws becomes a UsageError, exit status 2. */
export function checked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}
