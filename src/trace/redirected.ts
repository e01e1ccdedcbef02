// A packet to a pod whose destination somebody has replaced: whoever answers, the pod has not got it. Pure.
import { readPacket } from './packet.ts'
import { type End } from './trace-facts.ts'
import { type Trace, type Verdict } from './verdict.ts'

const arrived: ReadonlySet<Verdict['outcome']> = new Set(['answered', 'closed', 'taken'])

const nameOf = ({ addr, pod, node }: End): string => (pod === undefined ? (node ?? addr) : `pod ${pod}`)

/** The verdict where `to`, a pod, was asked for and the packet came to `end`. A pod that replaces the address itself, as a proxy beside it does, has it. */
export function redirected({ hops, verdict }: Trace, to: End, end: End): Verdict {
  if (to.pod === undefined || to.addr === end.addr || !arrived.has(verdict.outcome)) return verdict
  if (hops.there.some(({ sighting, pod }) => sighting !== undefined && pod === to.pod)) return verdict
  const first = hops.there.find(({ sighting }) => {
    const packet = sighting && readPacket(Uint8Array.fromHex(sighting.bytes), sighting.startsAt)?.packet
    return packet !== undefined && String(packet.dst) === end.addr
  })
  const place = first === undefined ? '' : ` on ${first.pod === undefined ? first.node : `pod ${first.pod}`}`
  return {
    outcome: 'lost',
    direction: 'there',
    text: `the probe never came to ${nameOf(to)}: its destination was replaced by ${end.addr}${place}, and ${nameOf(end)} has it`,
    remedy: `look for the rule that replaces it${place}: nft list ruleset (dnat, redirect); iptables-save -t nat`,
  }
}
