// The fewest entries of a trie that say the same as runs of ports: an entry for a prefix counts but where a longer one says otherwise. Pure.
// The way is that of Draves, King, Venkatachary and Zill, "Constructing optimal IP routing tables" (1999): from the ports up, what a part of the
// range could say at best; from the whole down, an entry wherever that differs from what the part inherits.

const portBits = 16
export const lastPort = 65_535

/** Ports `first` to `last` have `value`. Runs are sorted, and have every port. */
export type PortRun<V> = { readonly first: number; readonly last: number; readonly value: V }

/** All ports whose first `bits` bits are those of `port`. */
export type PortPrefix<V> = { readonly port: number; readonly bits: number; readonly value: V }

type Part<V> = { readonly best: readonly V[]; readonly halves?: readonly [Part<V>, Part<V>] }

function partOf<V>(runs: readonly PortRun<V>[], port: number, bits: number): Part<V> {
  const last = port + 2 ** (portBits - bits) - 1
  const within = runs.filter((run) => run.first <= last && run.last >= port)
  if (within.length === 1) return { best: [within[0]!.value] }
  const halves = [partOf(within, port, bits + 1), partOf(within, (port + last + 1) / 2, bits + 1)] as const
  const both = halves[0].best.filter((value) => halves[1].best.includes(value))
  return { best: both.length > 0 ? both : [...halves[0].best, ...halves[1].best], halves }
}

function collect<V>(part: Part<V>, port: number, bits: number, inherited: V, found: PortPrefix<V>[]): void {
  const value = part.best.includes(inherited) ? inherited : part.best[0]!
  if (value !== inherited) found.push({ port, bits, value })
  if (part.halves === undefined) return
  const half = 2 ** (portBits - bits - 1)
  collect(part.halves[0], port, bits + 1, value, found)
  collect(part.halves[1], port + half, bits + 1, value, found)
}

/** `inherited`: what ports without an entry have. Values are compared by identity. */
export function portPrefixes<V>(runs: readonly PortRun<V>[], inherited: V): PortPrefix<V>[] {
  const found: PortPrefix<V>[] = []
  collect(partOf(runs, 0, 0), 0, 0, inherited, found)
  return found
}
