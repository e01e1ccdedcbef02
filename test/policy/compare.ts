// What really arrived, beside what the evaluator says.
import { type PolicyView } from '#/policy/cluster.ts'
import { cellText, passes } from './cells.ts'
import { type Probe, type Prober } from './prober.ts'

/** The cells that are otherwise than the evaluator says. A packet that is let through may have been lost: it is sent once more. */
export async function wrongCells(view: PolicyView, prober: Prober, cells: readonly Probe[]): Promise<string[]> {
  const wanted = cells.map((cell) => passes(view, cell))
  const arrived = await prober.run(cells)
  const missing = cells.filter((_, index) => wanted[index] && !arrived[index])
  const late = missing.length === 0 ? [] : await prober.run(missing)
  const leaked = cells.filter((_, index) => !wanted[index] && arrived[index])
  return [
    ...leaked.map((cell) => `arrived though denied: ${cellText(cell)}`),
    ...missing.filter((_, index) => !late[index]).map((cell) => `lost though allowed: ${cellText(cell)}`),
  ]
}
