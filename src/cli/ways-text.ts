// The ways to other nodes as `causeway status` tells them: how many answer, and those that do not.
import { type PeerWay, type WaysStatus } from '#/api/schemas/peers.ts'
import { ageAt } from './age.ts'

export function waysLines({ isOn, nodes, ways, ok, others, rttMs }: WaysStatus, nowMs: number): string[] {
  if (!isOn) return ['ways: other nodes are not probed (CAUSEWAY_PROBE_INTERVAL_S=0)']
  if (nodes === 0) return ['ways: no other node to ask']
  const unknown = others.filter(({ state }) => state === 'unknown').length
  const besides = unknown === 0 ? '' : `, ${unknown} not known`
  const time = rttMs === undefined ? '' : `; p50 ${rttMs.toFixed(rttMs < 10 ? 2 : 0)} ms`
  return [
    `ways: ${ok} of ${ways} answer${besides}, ${nodes} node${nodes === 1 ? '' : 's'} asked${time}`,
    ...others.flatMap((way) => (way.state === 'unknown' ? [] : [wayLine(way, nowMs)])),
  ]
}

function wayLine({ node, path, family, way, dst, state, sinceMs, small }: PeerWay, nowMs: number): string {
  const loss = state === 'lossy' ? `, ${small.sent - small.answered} of ${small.sent} lost` : ''
  return `  ${node} ${path} IPv${family} ${way} ${dst}: ${state} for ${ageAt(sinceMs, nowMs)}${loss}`
}
