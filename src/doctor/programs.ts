// Programs of others, and offloads, at devices of nodes: a cause only where a kernel has dropped a packet for such a reason. Pure.
import { ownValue } from '#/lib/own-value.ts'
import { problem } from '#/model/problems.ts'
import { codesOfReasons } from './losses.ts'
import { type FollowedPacket, type NodeAnswers, type Sign } from './types.ts'

/** Off alone leaves the program of a device that the kernel runs in the generic way, and says nothing. Without a preference all filters go. */
const takeOut = (device: string, hook: string): string =>
  hook === 'xdp'
    ? `ip link set dev ${device} xdp off; ip link set dev ${device} xdpgeneric off`
    : `tc filter del dev ${device} ${hook} pref PREF, with its pref of tc filter show (without one, all filters there go, those of others too)`

function programsOf({ node, facts }: NodeAnswers): Sign[] {
  const foreign = (facts?.programs ?? []).filter(({ isOurs }) => !isOurs)
  return foreign.map(({ device, hook, id, name }) => {
    const what = id === undefined ? 'a filter of tc' : `program ${id}`
    const named = name === undefined ? '' : ` (${name})`
    const see =
      hook === 'xdp'
        ? `bpftool net show dev ${device}`
        : `tc filter show dev ${device} ${hook}; bpftool net show dev ${device}`
    return {
      ...problem(
        'CW6101',
        `program/${device} ${hook}`,
        `${what}${named} at ${device} ${hook}, which is not Causeway's, drops packets of pods`,
        {
          remedy: `find who attached it (${see}${id === undefined ? '' : `; bpftool prog show id ${id}`}) and have it let packets of pods pass; if its maker is gone: ${takeOut(device, hook)}`,
        },
      ),
      nodes: [node],
      extent: { at: node },
      needs: 'blame' as const,
    }
  })
}

function offloadsOf({ node, facts }: NodeAnswers): Sign[] {
  const links = (facts?.namespaces[0]?.links ?? []).filter(
    ({ name, offloads }) => !name.startsWith('cw') && offloads?.['tx-checksumming'] === true,
  )
  const [first] = links
  if (first === undefined) return []
  const devices = links.map(({ name }) => name).join(', ')
  return [
    {
      ...problem(
        'CW8103',
        `device/${first.name}`,
        `packets that left it by ${devices} arrived with wrong checksums, which it leaves to the card (tx-checksumming is on)`,
        {
          remedy: `have the kernel compute them: ${links.map(({ name }) => `ethtool -K ${name} tx off`).join('; ')}; if that mends it, keep it so where devices are configured, and look for a newer driver or firmware of the card`,
        },
      ),
      nodes: [node],
      extent: { at: node },
      needs: 'blame',
    },
  ]
}

/** The packets, with those marked that a program dropped where only Causeway has one: no other is to be looked for. */
export function withOwnDrops(packets: readonly FollowedPacket[], answers: readonly NodeAnswers[]): FollowedPacket[] {
  const factsOf = new Map(answers.map(({ node, facts }) => [node, facts]))
  return packets.map((packet) => {
    const { drop } = packet.verdict
    if (drop?.drop === undefined || ownValue(codesOfReasons, drop.drop.reason) !== 'CW6101') return packet
    const here = factsOf.get(drop.node)?.programs?.filter(({ device }) => device === drop.device) ?? []
    return here.length > 0 && here.every(({ isOurs }) => isOurs) ? { ...packet, isOwnDrop: true } : packet
  })
}

export function programSigns(answers: readonly NodeAnswers[]): Sign[] {
  return answers.flatMap((each) => [...programsOf(each), ...offloadsOf(each)])
}
