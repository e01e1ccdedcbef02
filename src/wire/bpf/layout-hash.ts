// Tells layouts of maps apart. Pure.
import { createHash } from 'node:crypto'
import * as shared from './maps.ts'

/** A hash over all that maps' contents mean: layouts and constants. */
export function layoutHash(): string {
  const text = JSON.stringify(shared, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
