// How the agent's API tells of BGP's routes: which are asked for, and the long answers in which they stand.
import { type BgpRoute, type RoutesRequest } from '#/api/schemas/bgp.ts'
import { didYouMean } from '#/lib/nearest.ts'
import { type AdvertisedStatus, ownPathPeer, type RouteFilter } from '#/model/bgp.ts'
import { type LongAnswer } from '../report/http-api.ts'

/** What a question for routes is about. */
export function filterOf({ prefix, peer, explain = false }: RoutesRequest): RouteFilter {
  return { prefix, peer, isExplained: explain }
}

/** The refusal of a question about a peer that there is none of; undefined: there is, or nobody asked about one. */
export function unknownPeer(
  peer: string | undefined,
  names: readonly string[],
): { readonly status: 404; readonly body: string } | undefined {
  if (peer === undefined || peer === ownPathPeer || names.includes(peer)) return undefined
  return { status: 404, body: `there is no peer "${peer}"${didYouMean(peer, names)}; "causeway bgp peers" lists all\n` }
}

/** A BgpRoutesReport or BgpAdvertisedReport, written as its routes come. */
export function routesAnswer(slices: AsyncIterable<readonly (BgpRoute | AdvertisedStatus)[]>): LongAnswer {
  return { status: 200, json: routesJson(slices) }
}

async function* routesJson(slices: AsyncIterable<readonly unknown[]>): AsyncGenerator<string, void, void> {
  // nothing before the first of them: who cannot tell them says why instead
  let before = '{"routes":['
  for await (const items of slices) {
    if (items.length === 0) continue
    yield before + items.map((item) => JSON.stringify(item)).join(',')
    before = ','
  }
  yield before === ',' ? ']}\n' : `${before}]}\n`
}
