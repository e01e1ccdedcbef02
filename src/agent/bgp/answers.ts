// What `causeway bgp` asks an agent: sessions, routes, resets.
import { type BgpPeersReport, type BgpRoute, type ResetRequest, type RoutesRequest } from '#/api/schemas/bgp.ts'
import { ownPathPeer, type RouteFilter } from '#/model/bgp.ts'
import { type Answer, type Handlers, type LongAnswer } from '../report/http-api.ts'
import { type LearnedRouteStore } from './learned-route-store.ts'
import { filterOf, routesAnswer, unknownPeer } from './reports.ts'
import { type SpeakerThread } from './speaker-thread.ts'

export type AnswerSources = {
  /** Undefined while there is no speaker; `silentBecause` says why. */
  readonly thread: () => SpeakerThread | undefined
  readonly silentBecause: () => string | undefined
  readonly peerNames: () => readonly string[]
  readonly peers: () => Promise<BgpPeersReport>
  readonly learned: Pick<LearnedRouteStore, 'isUntaken'>
  /** By prefix, why a learned route is not in the kernel or not used there. */
  readonly notInstalled: () => ReadonlyMap<string, string>
}

const untaken = 'the kernel is about to be told'

export function bgpHandlers(sources: AnswerSources): Handlers {
  const list = (
    wish: RoutesRequest,
    answerOf: (thread: SpeakerThread) => LongAnswer,
  ): Answer<{ silentBecause?: string; routes: [] }> | LongAnswer => {
    const silentBecause = sources.silentBecause()
    const thread = sources.thread()
    if (silentBecause !== undefined || thread === undefined)
      return { status: 200, body: { ...(silentBecause !== undefined && { silentBecause }), routes: [] } }
    return unknownPeer(wish.peer, sources.peerNames()) ?? answerOf(thread)
  }

  async function* routes(thread: SpeakerThread, filter: RouteFilter): AsyncGenerator<readonly BgpRoute[], void, void> {
    const notInstalled = sources.notInstalled()
    for await (const paths of thread.list('paths', filter)) {
      yield paths.map((path) => {
        // what is this node's own is in the kernel as its bridge
        if (path.peer === ownPathPeer || (!path.isBest && !path.isMultipath)) return path
        const reason = sources.learned.isUntaken(path.prefix) ? untaken : notInstalled.get(path.prefix)
        return { ...path, kernel: { isInstalled: reason === undefined, ...(reason !== undefined && { reason }) } }
      })
    }
  }

  const reset = async (wish: ResetRequest): Promise<Answer<string>> => {
    const thread = sources.thread()
    if (thread === undefined) return { status: 404, body: `no BGP: ${sources.silentBecause() ?? 'it has not begun'}\n` }
    const isThere = await thread.ask('reset', wish)
    if (!isThere)
      return unknownPeer(wish.peer, sources.peerNames()) ?? { status: 404, body: `"${wish.peer}" has no session\n` }
    return {
      status: 200,
      body: wish.how === 'hard' ? 'the session begins anew\n' : 'its routes were asked for again\n',
    }
  }

  return {
    bgpPeers: async () => ({ status: 200, body: await sources.peers() }),
    bgpRoutes: (wish) => list(wish, (thread) => routesAnswer(routes(thread, filterOf(wish)))),
    bgpAdvertised: (wish) => list(wish, (thread) => routesAnswer(thread.list('advertised', filterOf(wish)))),
    bgpReset: reset,
  }
}
