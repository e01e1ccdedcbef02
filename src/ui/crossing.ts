// How packets cross from one node to another and back, as both nodes tell it. Pure.
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { type Crossing, type CrossingSide } from './contract.ts'

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
