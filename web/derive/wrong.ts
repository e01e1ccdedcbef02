// What is wrong now: doctor's findings, and what agents tell that these do not explain. Pure.
import { groupByCause } from '#/lib/causes.ts'
import { type Finding } from '#/doctor/types.ts'
import { type NodeRow } from '#/ui/contract.ts'
import { type State } from '../state/state.ts'
import { plural, type Tone } from './words.ts'

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

/** What doctor has found, and what follows from that. */
function explainedBy(findings: readonly Finding[]): Set<string> {
  return new Set(
    findings.flatMap(({ code, objects, explains }) => [
      ...objects.map((object) => idOf({ code, object })),
      ...explains.map(idOf),
    ]),
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
  const explained = explainedBy(findings)
  const told = [...toldByAgents(nodes).values()].filter((each) => !explained.has(idOf(each)))
  return [
    ...findings.map((finding): Wrong => ({ ...finding, others: [], by: 'doctor' })),
    ...alike(told).sort((a, b) => b.nodes.length - a.nodes.length || (idOf(a) < idOf(b) ? -1 : 1)),
  ]
}

/** What is said of a finding that nobody tells of: it is gone only where all were asked who could tell of it. */
export function absenceOf(
  { link, nodes, doctor }: State,
  isOld: boolean,
): { readonly tone: Tone; readonly text: string } {
  if (link === 'connecting' || nodes.size === 0) return { tone: 'none', text: 'Asking the nodes…' }
  const untold = [...nodes.values()].filter(({ state }) => state === 'silent' || state === 'unknown').length
  const gap = isOld
    ? 'there is no news now'
    : untold > 0
      ? `${plural(untold, 'node')} did not answer`
      : doctor?.state === 'running'
        ? 'doctor is looking'
        : doctor?.state !== 'done'
          ? 'doctor has not looked'
          : undefined
  if (gap === undefined) return { tone: 'good', text: 'Nobody tells of this now.' }
  return { tone: 'none', text: `Nobody who answered tells of this, but ${gap}.` }
}

/** What concerns one node. */
export function wrongAt(all: readonly Wrong[], name: string): Wrong[] {
  return all.filter(({ nodes, objects }) => nodes.includes(name) || objects.includes(`node/${name}`))
}
