// How much memory of the kernel a map takes.
import { readFileSync } from 'node:fs'
import { type BpfMap } from './map.ts'

/** Undefined where the kernel does not tell. Before Linux 6.4 it tells what the map could take when it is full. */
export function mapMemoryBytes({ fd }: BpfMap): number | undefined {
  const line = /^memlock:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))
  return line === null ? undefined : Number(line[1])
}
