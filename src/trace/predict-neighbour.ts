// Whether the kernel knows the MAC of the next hop, as a step. Pure.
import { type At, passes, type PredictedStep, stops } from './predict-steps.ts'

export type NeighbourFacts = {
  readonly at: At
  readonly addr: string
  /** Who it is, in words: "the gateway of pods", "pod shop/web". */
  readonly who: string
  /** As ip-neighbour(8) calls it; absent: the kernel has no entry, and asks when it has a packet. */
  readonly state?: string
  readonly mac?: string
  /** The MAC that it has; absent: not known here. */
  readonly expectedMac?: string
  readonly isPermanent?: boolean
  /** The command that removes the entry, with the namespace that it is run in. */
  readonly flush: string
}

const silent = new Set(['incomplete', 'failed'])

export function neighbourStep(facts: NeighbourFacts): PredictedStep {
  const { at, addr, who, state, mac, expectedMac, isPermanent, flush } = facts
  const name = `${who} (${addr})`
  if (state === undefined) return passes('neighbour', `${name}: the kernel asks for its MAC first`, at)
  if (silent.has(state))
    return stops(
      'neighbour',
      `${name} does not answer when the kernel asks for its MAC on ${at.device} (${state})`,
      at,
      {
        remedy: `see whether ${who} is up and on the link of ${at.device}, and whether ARP or neighbour discovery gets there: ip neigh show dev ${at.device}`,
      },
    )
  if (mac !== undefined && expectedMac !== undefined && mac !== expectedMac)
    return stops('neighbour', `${name} has the MAC ${expectedMac}, and the kernel sends to ${mac} (${state})`, at, {
      remedy: isPermanent
        ? `somebody set the entry; take it out: ${flush}`
        : `have the kernel ask anew: ${flush}; if the MAC comes back, another machine answers for that address`,
    })
  return passes('neighbour', `${name} is at ${mac ?? 'no MAC'} (${state})`, at)
}
