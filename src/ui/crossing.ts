// How packets cross from one node to another and back, as both nodes tell it. Pure.
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type AgentStatus, type VerdictStatus } from '#/api/schemas/status.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import { type Crossing, type CrossingSide, type Matrix, type WayLetter } from './contract.ts'

/** What one of the nodes said. */
export type SideAnswers = {
  readonly status?: Pick<AgentStatus, 'verdicts' | 'datapath' | 'observes' | 'endpoints'>
  readonly probes: readonly PeerWay[]
  readonly silence?: string
}

export function sideOf(node: string, other: string, { status, probes, silence }: SideAnswers): CrossingSide {
  const datapath = status?.datapath?.name ?? status?.observes?.network
  const pod = status?.endpoints.find(({ state }) => state === 'ready')?.pod
  return {
    node,
    verdicts: (status?.verdicts ?? []).filter((each) => each.node === other),
    ...(datapath !== undefined && { datapath }),
    ...(pod !== undefined && { pod }),
    probes: probes.filter((each) => each.node === other),
    ...(silence !== undefined && { silence }),
  }
}

export function crossingOf(there: CrossingSide, back: CrossingSide): Crossing {
  return { from: there.node, to: back.node, there, back }
}

const letters = { vxlan: 'v', native: 'n', none: '-' } as const

/** The row of a node: a letter for each of `nodes`. */
export function matrixRow(
  node: string,
  nodes: readonly string[],
  verdicts: readonly Pick<VerdictStatus, 'node' | 'way'>[] | undefined,
): string {
  const ways = new Map<string, WayLetter>()
  for (const { node: to, way } of verdicts ?? []) {
    const before = ways.get(to)
    ways.set(to, before === undefined || before === letters[way] ? letters[way] : 'm')
  }
  return nodes.map((to) => (to === node ? '=' : (ways.get(to) ?? '?'))).join('')
}

export const mostInMatrix = 64

/** The nodes of a matrix where none were named: those of which something is told first. */
export function matrixNodes(
  rows: readonly { readonly name: string; readonly state: string; readonly problems: readonly unknown[] }[],
): Pick<Matrix, 'nodes' | 'left'> {
  const isWell = ({ state, problems }: (typeof rows)[number]): boolean => state === 'ready' && problems.length === 0
  const sorted = rows.toSorted((a, b) => Number(isWell(a)) - Number(isWell(b)) || byNumberedName(a.name, b.name))
  const nodes = sorted.slice(0, mostInMatrix).map(({ name }) => name)
  return {
    nodes: nodes.toSorted(byNumberedName),
    left: Math.max(0, rows.length - mostInMatrix),
  }
}
