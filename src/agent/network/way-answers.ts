// Asks the kernel a few questions at a time and judges the answers. Of thousands nearly all are as expected: those are known by their bytes,
// are not decoded, and leave nothing behind.
import { type Netlink } from '#/kernel/netlink.ts'
import { lookUpRoutes } from '#/kernel/route-lookup.ts'
import { type Lookup } from '#/wire/netlink/route-lookup.ts'
import { type Addr } from '#/lib/addr.ts'
import { routeProtocol } from '#/model/names.ts'
import { judge, type Judgement, type KernelState } from '#/obstacles/kernel-way.ts'
import { isRouteOf, RT_TABLE_MAIN } from '#/wire/netlink/route.ts'
import { type Question } from './way-questions.ts'

/** Nodes share a few subnets and routers, so that their answers are the same. More kinds than these are decoded each time. */
const mostGoodPeers = 16

/** An answer that is not as planned. */
export type Deviation = Exclude<Judgement, { kind: 'planned' }>

export class WayAnswers {
  readonly #netlink: Netlink
  /** Answers, as the kernel sent them, to questions about other nodes' addresses, which are as planned. */
  #goodPeers: Uint8Array[] = []

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  /** Forgets what was good: devices may be others by now. */
  forget(): void {
    this.#goodPeers = []
  }

  /** The judgements in the order of the questions; undefined where the way is as planned. Throws KernelError. */
  judge(questions: readonly Question[], state: KernelState): (Deviation | undefined)[] {
    const lookups: Lookup[] = []
    const indexes = indexesInto(lookups, questions)
    const isOfPeer = lookups.map(() => false)
    for (const [at, { way }] of questions.entries()) if (way.kind === 'node') isOfPeer[indexes[at]!] = true
    const peerPayloads = new Map<number, Uint8Array>()
    const answers = lookUpRoutes(this.#netlink, lookups, (payload, index) => {
      // a route of ours that is not (yet) as planned is for the reconciler to mend and to tell
      if (isRouteOf(payload, routeProtocol, RT_TABLE_MAIN)) return true
      if (!isOfPeer[index]) return false
      if (this.#goodPeers.some((good) => Buffer.compare(good, payload) === 0)) return true
      peerPayloads.set(index, payload.slice())
      return false
    })
    return questions.map(({ way, lookup }, at) => {
      const index = indexes[at]!
      const answer = answers[index]
      const judgement = answer && judge(way, lookup, answer, state)
      if (judgement?.kind !== 'planned') return judgement
      const payload = peerPayloads.get(index)
      if (payload && this.#goodPeers.length < mostGoodPeers) this.#goodPeers.push(payload)
      return undefined
    })
  }
}

/** Puts the lookups of the questions into `lookups`, that of one node's address only once; returns the index of each question's. */
function indexesInto(lookups: Lookup[], questions: readonly Question[]): number[] {
  const peers = new Map<Addr, number>()
  return questions.map(({ way, lookup }) => {
    const known = way.kind === 'node' ? peers.get(lookup.dst) : undefined
    if (known !== undefined && lookups[known]!.src === lookup.src) return known
    const index = lookups.push(lookup) - 1
    if (way.kind === 'node') peers.set(lookup.dst, index)
    return index
  })
}
