// Lists for people of what the RIB holds and of what it tells. A table is long, and keepalives do not wait: so lists come in pieces,
// some of them empty, each made in far less than a millisecond, and whoever takes them does other things in between. What changes
// meanwhile is shown as it was or as it is.
import { type Family, Prefix } from '#/lib/addr.ts'
import { type AdvertisedStatus, type PathStatus, type RouteFilter } from '#/model/bgp.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type AdjRibIn } from './adj-rib-in.ts'
import { type Inbound } from './inbound.ts'
import { type LocRib } from './loc-rib.ts'
import { type Outbound } from './outbound.ts'
import { advertisedStatus, pathStatuses } from './status.ts'

/** So many prefixes are looked at for a piece. */
const piecePrefixes = 16

/** Pieces of a list. */
export type Pieces<Item> = Iterator<readonly Item[], void, void>

export type ListingDeps = { readonly locRib: LocRib; readonly inbound: Inbound; readonly outbound: Outbound }

const families = [4, 6] as const

export class Listing {
  readonly #deps: ListingDeps

  constructor(deps: ListingDeps) {
    this.#deps = deps
  }

  /** Every path that is held, also refused ones, with the reason for its place. */
  *paths({ prefix, peer }: RouteFilter): Generator<readonly PathStatus[], void, void> {
    if (prefix !== undefined) {
      const wanted = Prefix.tryParse(prefix)
      if (wanted !== undefined) yield this.#pathsTo(nlriOf(wanted), wanted.family, peer)
      return
    }
    for (const family of families) {
      yield* pieces(this.#prefixes(family), (nlri) => this.#pathsTo(nlri, family, peer))
    }
  }

  /** Each prefix once; undefined where there was one that has its turn elsewhere. */
  *#prefixes(family: Family): Generator<Nlri | undefined, void, void> {
    const { locRib, inbound } = this.#deps
    for (const [nlri] of locRib.destinations(family)) yield nlri
    const earlier: AdjRibIn[] = []
    for (const { tables } of inbound.peers) {
      const table = tables[family]
      for (const [nlri, { refusal }] of table.entries()) {
        const isHere = refusal !== undefined && locRib.get(family, nlri) === undefined
        yield isHere && earlier.every((other) => other.get(nlri) === undefined) ? nlri : undefined
      }
      earlier.push(table)
    }
  }

  #pathsTo(nlri: Nlri, family: Family, peer: string | undefined): readonly PathStatus[] {
    const { locRib, inbound } = this.#deps
    const candidates = locRib.get(family, nlri)?.paths ?? []
    const refused = [...inbound.peers].flatMap(({ tables }) => {
      const path = tables[family].get(nlri)
      return path?.refusal === undefined ? [] : [path]
    })
    const statuses = pathStatuses(nlri, family, { candidates, refused }, locRib.options)
    return peer === undefined ? statuses : statuses.filter((status) => status.peer === peer)
  }

  /** What neighbours have been told, or are being told. */
  *advertised({ prefix, peer }: RouteFilter): Generator<readonly AdvertisedStatus[], void, void> {
    const wanted = prefix === undefined ? undefined : Prefix.tryParse(prefix)
    if (prefix !== undefined && wanted === undefined) return
    const { outbound } = this.#deps
    for (const name of peer === undefined ? outbound.neighbours : [peer]) {
      for (const { group, source } of outbound.groupsOf(name)) {
        const { family } = group.rules.settings
        if (wanted !== undefined && wanted.family !== family) continue
        const own = wanted && nlriOf(wanted)
        const entries = own === undefined ? group.log.entries() : [[own, group.log.get(own)] as const]
        yield* pieces(entries, ([nlri, entry]) => {
          const path = entry?.path
          const status = path === undefined || path.source === source ? undefined : advertisedStatus(group, nlri, path)
          return status === undefined ? [] : [{ ...status, peer: name }]
        })
      }
    }
  }
}

function* pieces<From, Item>(
  all: Iterable<From | undefined>,
  itemsOf: (one: From) => readonly Item[],
): Generator<readonly Item[], void, void> {
  let piece: Item[] = []
  let count = 0
  for (const one of all) {
    if (one !== undefined) piece.push(...itemsOf(one))
    if (++count % piecePrefixes !== 0) continue
    yield piece
    piece = []
  }
  yield piece
}
