// What is wrong now: doctor's findings, and what agents tell that these do not explain. Pure.
import { groupByCause } from '#/lib/causes.ts'
import { type Finding } from '#/doctor/types.ts'
import { type NodeRow } from '#/ui/contract.ts'
import { type State } from '../state/state.ts'

export type Wrong = Pick<Finding, 'code' | 'object' | 'message' | 'how' | 'remedy' | 'consequences'> & {
  /** The nodes that tell of it, or at which it is. */
  readonly nodes: readonly string[]
  readonly objects: readonly string[]
  /** What is said of the other objects, where one card tells of several that are alike. */
  readonly others: readonly string[]
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
          others: [],
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

/** Comparing texts takes time: of more than this only the code counts. */
const mostCompared = 100

const nameOf = (object: string): string => object.slice(object.indexOf('/') + 1)

/** Problems that are mended alike are one, with the objects of all. */
function alike(told: readonly Wrong[]): Wrong[] {
  const failures = told.map((wrong) => ({
    wrong,
    subject: wrong.object,
    text: told.length > mostCompared ? wrong.code : `${wrong.code} ${wrong.remedy}`,
    names: [...wrong.nodes, wrong.object, nameOf(wrong.object)],
  }))
  return groupByCause(failures).map((group): Wrong => {
    const [first, ...others] = group.map(({ wrong }) => wrong) as [Wrong, ...Wrong[]]
    return {
      ...first,
      objects: [first, ...others].map(({ object }) => object),
      nodes: [...new Set([first, ...others].flatMap(({ nodes }) => nodes))],
      others: others.map(({ object, message }) => `${object}: ${message}`),
    }
  })
}

/** Causes first, in doctor's order; then what no finding explains, what most nodes tell first. */
export function wrongOf({ nodes, doctor }: Pick<State, 'nodes' | 'doctor'>): Wrong[] {
  const findings = doctor?.report?.findings ?? []
  const told = [...toldByAgents(nodes).values()].filter((each) => !isExplained(each, findings))
  return [
    ...findings.map((finding): Wrong => ({ ...finding, others: [], by: 'doctor' })),
    ...alike(told).sort((a, b) => b.nodes.length - a.nodes.length || (idOf(a) < idOf(b) ? -1 : 1)),
  ]
}

/** What concerns one node. */
export function wrongAt(all: readonly Wrong[], name: string): Wrong[] {
  return all.filter(({ nodes, objects }) => nodes.includes(name) || objects.includes(`node/${name}`))
}
