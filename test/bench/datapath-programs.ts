// The programs of the eBPF datapath as the kernel has them: how many instructions its verifier went through, how large they are, and how
// long the kernel took to take each.
import { readFileSync } from 'node:fs'
import { viewOf } from '#/lib/bytes.ts'
import { loadObject } from '#/kernel/bpf/object.ts'
import { bpfObjectPath } from '#/kernel/bpf/object-file.ts'
import { libc } from '#/sys/libc.ts'
import { figure, type Table } from './benchmark.ts'
import { median } from './stats.ts'

const CLOCK_BOOTTIME = 7

type Load = {
  readonly name: string
  readonly verifiedInstructions: number
  readonly xlatedBytes: number
  readonly jitedBytes: number
  readonly ms: number
}

function sinceBootNs(): bigint {
  const time = new Uint8Array(16)
  libc('clock_gettime', [CLOCK_BOOTTIME, time])
  return viewOf(time).getBigInt64(0, true) * 1_000_000_000n + viewOf(time).getBigInt64(8, true)
}

/** The kernel notes the time at which it begins with a program, and libbpf gives it one after the other. */
async function loadOnce(): Promise<Load[]> {
  using object = await loadObject({ bytes: readFileSync(bpfObjectPath()) })
  const endNs = sinceBootNs()
  const inOrder = [...object.programs]
    .map(([name, { info }]) => ({ name, info }))
    .toSorted((a, b) => Number(a.info.loadedAtNs - b.info.loadedAtNs))
  return inOrder.map(({ name, info: { verifiedInstructions, xlatedBytes, jitedBytes, loadedAtNs } }, index) => {
    const untilNs = inOrder[index + 1]?.info.loadedAtNs ?? endNs
    return { name, verifiedInstructions, xlatedBytes, jitedBytes, ms: Number(untilNs - loadedAtNs) / 1e6 }
  })
}

export type ProgramsReport = { readonly table: Table; readonly figures: Readonly<Record<string, readonly number[]>> }

export async function programsReport(rounds: number): Promise<ProgramsReport> {
  const loads: Load[] = []
  for (let round = 0; round < rounds; round++) loads.push(...(await loadOnce()))
  const programs = [...Map.groupBy(loads, ({ name }) => name)]
  return {
    table: {
      title: 'The programs, as the kernel takes them',
      columns: ['program', 'instructions verified', 'eBPF, bytes', 'machine code, bytes', 'verifier and JIT, ms'],
      rows: programs.map(([name, [first, ...rest]]) => [
        name,
        figure(first!.verifiedInstructions),
        figure(first!.xlatedBytes),
        figure(first!.jitedBytes),
        figure(median([first!, ...rest].map(({ ms }) => ms))),
      ]),
    },
    figures: Object.fromEntries(programs.map(([name, each]) => [`${name}: ms`, each.map(({ ms }) => ms)])),
  }
}
