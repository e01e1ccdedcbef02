// Writes changes of the maps of policy, in their order: entries one after the other that are of the same map go in one call.
import { deleteEntries, setEntries } from '#/kernel/bpf/map-batch.ts'
import { type PolicyEntry, type PolicyKey, type PolicyMapName } from '#/plan/policy-maps/entries.ts'
import { type Generation } from './generation.ts'

/** Throws BpfError. */
export function writeEntries(generation: Generation, entries: Iterable<PolicyEntry>): void {
  for (const [map, run] of runsOf(entries)) setEntries(generation.map(map), run)
}

/** Throws BpfError. */
export function removeEntries(generation: Generation, keys: Iterable<PolicyKey>): void {
  for (const [map, run] of runsOf(keys)) deleteEntries(generation.map(map), run)
}

function* runsOf<T extends PolicyKey>(all: Iterable<T>): Generator<[PolicyMapName, T[]]> {
  let run: T[] = []
  for (const each of all) {
    const [first] = run
    if (first !== undefined && first.map !== each.map) {
      yield [first.map, run]
      run = []
    }
    run.push(each)
  }
  const [first] = run
  if (first !== undefined) yield [first.map, run]
}
