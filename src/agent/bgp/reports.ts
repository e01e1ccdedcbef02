// What an agent tells of BGP: the answers of /bgp/peers, /bgp/routes and /bgp/advertised.
import { type AdvertisedStatus, type PathStatus, type PeerStatus, type RouteFilter } from '#/model/bgp.ts'
import { type LongAnswer } from '../http-api.ts'

export type BgpPeersReport = {
  /** Why this node speaks no BGP; then there is nothing else. */
  readonly silentBecause?: string
  readonly asn?: number
  readonly routerId?: string
  readonly role?: string
  /** Whether every neighbour has told all that it has, since the agent started. */
  readonly isReady: boolean
  readonly peers: readonly PeerStatus[]
}

export type BgpRoute = PathStatus & {
  /** Of a path that was chosen: whether the kernel has it, and if not, why. */
  readonly kernel?: { readonly isInstalled: boolean; readonly reason?: string }
}

export type BgpRoutesReport = { readonly silentBecause?: string; readonly routes: readonly BgpRoute[] }

export type BgpAdvertisedReport = { readonly silentBecause?: string; readonly routes: readonly AdvertisedStatus[] }

/** What a question for routes is about. */
export function filterOf(query: URLSearchParams): RouteFilter {
  return {
    prefix: query.get('prefix') ?? undefined,
    peer: query.get('peer') ?? undefined,
    isExplained: query.has('explain'),
  }
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
