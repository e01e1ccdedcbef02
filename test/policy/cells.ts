// The cells of the truth table: which packets are sent after each step, and what is expected of them.
import { families, type Family } from '#/lib/addr.ts'
import { evaluate } from '#/policy/evaluate.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { numberOf, type ProtocolName } from './packets.ts'
import { type Place, type Probe } from './prober.ts'

export const kinds: readonly (readonly [ProtocolName, number])[] = [
  ['tcp', 80],
  ['tcp', 81],
  ['udp', 80],
  ['udp', 81],
  ['sctp', 80],
  ['sctp', 81],
  ['icmp', 0],
]

const isPod = ({ name }: Place): boolean => name.includes('/')
const isRemote = ({ name }: Place): boolean => name.startsWith('z/') || name === 'world' || name === 'node-2'

/** Every pair of which one end at least is a pod of the node under test. */
function pairs(places: readonly Place[]): [Place, Place][] {
  return places.flatMap((from) =>
    places
      .filter((to) => from !== to && (isPod(from) || isPod(to)) && !(isRemote(from) && isRemote(to)))
      .filter((to) => !(from.name === 'node-1' && isRemote(to)) && !(isRemote(from) && to.name === 'node-1'))
      .map((to): [Place, Place] => [from, to]),
  )
}

export function cellsOf(places: readonly Place[]): Probe[] {
  return pairs(places).flatMap(([from, to]) =>
    kinds.flatMap(([protocol, port]) =>
      families.map((family) => {
        const [src, dst] = [from, to].map(({ addrs }) => addrs.find((addr) => addr.family === family)!)
        return { from: from.name, to: to.name, src: src!, dst: dst!, protocol, port }
      }),
    ),
  )
}

/** Whether the node under test lets the packet through: the policies of pods elsewhere are not its own. */
export function passes(view: PolicyView, { from, to, src, dst, protocol, port }: Probe): boolean {
  const number = numberOf(protocol, dst)
  const verdict = evaluate(view, { src, dst, protocol: number, ...(protocol !== 'icmp' && { port }) })
  const directions = [
    ...(from.startsWith('z/') ? [] : [verdict.egress]),
    ...(to.startsWith('z/') ? [] : [verdict.ingress]),
  ]
  return !directions.some(({ isDenied, isAudited }) => isDenied && !isAudited)
}

export function cellText({ from, to, protocol, port, dst }: Probe): string {
  return `${from} ${to} ${protocol} ${port} ${dst.family}`
}

/** "FROM TO PROTOCOL PORT", or with a family at its end. */
export function isNamed(text: string, probe: Probe): boolean {
  const family: Family = probe.dst.family
  const cell = cellText(probe)
  return cell === text || cell === `${text} ${family}`
}
