// What is wrong now: doctor's findings, and what agents tell that these do not explain. Pure.
import { type Finding } from '#/doctor/types.ts'
import { type NodeRow } from '#/ui/contract.ts'
import { type State } from '../state/state.ts'

export type Wrong = Pick<Finding, 'code' | 'object' | 'message' | 'how' | 'remedy' | 'consequences'> & {
  /** The nodes that tell of it, or at which it is. */
  readonly nodes: readonly string[]
  readonly objects: readonly string[]
  /** Who says so. */
  readonly by: 'doctor' | 'agents'
}

const idOf = ({ code, object }: Pick<Finding, 'code' | 'object'>): string => `${code} ${object}`

/** What agents tell now, each problem once with the nodes that tell it. */
function toldByAgents(nodes: ReadonlyMap<string, NodeRow>): Map<string, Wrong> {
  const found = new Map<string, Wrong & { nodes: string[] }>()
  for (const { name, state, problems } of nodes.values()) {
    if (state === 'silent') continue
    for (const problem of problems) {
      const known = found.get(idOf(problem))
      if (known === undefined)
        found.set(idOf(problem), {
          ...problem,
          nodes: [name],
          objects: [problem.object],
          consequences: [],
          by: 'agents',
        })
      else known.nodes.push(name)
    }
  }
  return found
}

/** Whether doctor has found it already, or what it follows from. */
function isExplained({ code, object }: Wrong, findings: readonly Finding[]): boolean {
  return findings.some(
    (finding) =>
      (finding.code === code && finding.objects.includes(object)) ||
      finding.consequences.some((text) => text.includes(`${code} ${object}:`)),
  )
}

/** Causes first, in doctor's order; then what no finding explains, what most nodes tell first. */
export function wrongOf({ nodes, doctor }: Pick<State, 'nodes' | 'doctor'>): Wrong[] {
  const findings = doctor?.report?.findings ?? []
  const told = [...toldByAgents(nodes).values()].filter((each) => !isExplained(each, findings))
  return [
    ...findings.map((finding): Wrong => ({ ...finding, by: 'doctor' })),
    ...told.sort((a, b) => b.nodes.length - a.nodes.length || (idOf(a) < idOf(b) ? -1 : 1)),
  ]
}

/** What concerns one node. */
export function wrongAt(all: readonly Wrong[], name: string): Wrong[] {
  return all.filter(({ nodes, objects }) => nodes.includes(name) || objects.includes(`node/${name}`))
}
