// Lists for people of what the RIB holds and of what it tells. A table is long, and keepalives do not wait: so lists come in pieces,
// some of them empty, each made in far less than a millisecond, and whoever takes them does other things in between. What changes
// meanwhile is shown as it was or as it is.
import { type Family, Prefix, families } from '#/lib/addr.ts'
import { type AdvertisedStatus, ownPathPeer, type PathStatus, type RouteFilter, type UntoldRoute } from '#/model/bgp.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type Inbound } from './inbound.ts'
import { type LocRib } from './loc-rib.ts'
import { NlriMap } from './nlri-map.ts'
import { type Outbound } from './outbound.ts'
import { advertisedStatus, faultyStatus, notAdvertised, pathStatuses, untoldStatus } from './status.ts'

/** A piece ends when so many prefixes were looked at, or so many paths found. */
const pieceSize = 16

/** Pieces of a list. */
export type Pieces<Item> = Iterator<readonly Item[], void, void>

export type ListingDeps = {
  readonly locRib: LocRib
  readonly inbound: Inbound
  readonly outbound: Outbound
  /** What this speaker would originate and does not. */
  readonly untold: readonly UntoldRoute[]
}

export class Listing {
  readonly #deps: ListingDeps

  constructor(deps: ListingDeps) {
    this.#deps = deps
  }

  /** Every path that is held, also refused ones, with the reason for its place. */
  *paths({ prefix, peer }: RouteFilter): Generator<readonly PathStatus[], void, void> {
    if (prefix !== undefined) {
      const wanted = Prefix.tryParse(prefix)
      if (wanted === undefined) return
      for (const around of outwards(wanted)) {
        const paths = this.#pathsTo(nlriOf(around), around.family, peer)
        yield paths
        if (paths.length > 0) return
      }
      return
    }
    for (const family of families) {
      yield* pieces(this.#prefixes(family, peer), (nlri) => this.#pathsTo(nlri, family, peer))
    }
  }

  /** Each prefix that there are paths to, of a neighbour or of all, once; undefined where one has had its turn. */
  *#prefixes(family: Family, peer: string | undefined): Generator<Nlri | undefined, void, void> {
    const { locRib, inbound } = this.#deps
    // a neighbour's paths are all in its own table; our own routes are in no table but the Loc-RIB
    const tables = [...inbound.peers].filter(({ name }) => peer === undefined || name === peer)
    const hasOthers = peer === undefined || peer === ownPathPeer
    // a prefix can be in several of these sources, and must be told once
    const seen = new NlriMap<object>()
    const sources = [
      ...(hasOthers ? [locRib.destinations(family)] : []),
      ...tables.map((each) => each.tables[family].entries()),
      ...tables.map((each) => each.tables[family].faulty.entries()),
    ]
    for (const source of sources) for (const [nlri] of source) yield isNew(seen, nlri) ? nlri : undefined
  }

  #pathsTo(nlri: Nlri, family: Family, peer: string | undefined): readonly PathStatus[] {
    const { locRib, inbound } = this.#deps
    const candidates = locRib.get(family, nlri)?.paths ?? []
    const refused = [...inbound.peers].flatMap(({ tables }) => {
      const path = tables[family].get(nlri)
      return path?.refusal === undefined ? [] : [path]
    })
    const faulty = [...inbound.peers].flatMap(({ name, tables }) => {
      const route = tables[family].faulty.get(nlri)
      return route === undefined ? [] : [faultyStatus(nlri, family, name, route)]
    })
    const statuses = [...pathStatuses(nlri, family, { candidates, refused }, locRib.options), ...faulty]
    return peer === undefined ? statuses : statuses.filter((status) => status.peer === peer)
  }

  /** What neighbours have been told, or are being told; with `isExplained` also what is chosen and not told to them. */
  *advertised({ prefix, peer, isExplained = false }: RouteFilter): Generator<readonly AdvertisedStatus[], void, void> {
    const wanted = prefix === undefined ? undefined : Prefix.tryParse(prefix)
    if (prefix !== undefined && wanted === undefined) return
    const { outbound, locRib } = this.#deps
    for (const name of peer === undefined ? [...outbound.neighbours] : [peer]) {
      for (const { group, source } of outbound.groupsOf(name)) {
        const { family } = group.rules.settings
        if (wanted !== undefined && wanted.family !== family) continue
        const explained = (nlri: Nlri): readonly AdvertisedStatus[] => {
          const path = locRib.get(family, nlri)?.paths[0]
          if (path === undefined) return this.#untoldTo(name, family, nlri)
          const status =
            path.source === source
              ? notAdvertised(family, nlri, path, 'it is the peer that told it')
              : advertisedStatus(group, nlri, path)
          return [{ ...status, peer: name }]
        }
        const told = (nlri: Nlri): readonly AdvertisedStatus[] => {
          const path = group.log.get(nlri)?.path
          return path === undefined || path.source === source
            ? []
            : [{ ...advertisedStatus(group, nlri, path), peer: name }]
        }
        const statusesOf = isExplained ? explained : told
        if (wanted === undefined) {
          const all = isExplained ? this.#known(family) : keysOf(group.log.entries())
          yield* pieces(all, statusesOf)
          continue
        }
        for (const around of outwards(wanted)) {
          const found = statusesOf(nlriOf(around))
          yield found
          if (found.length > 0) break
        }
      }
    }
  }

  /** What there is a path to, and what is our own and told to nobody. */
  *#known(family: Family): Generator<Nlri, void, void> {
    const { locRib, untold } = this.#deps
    for (const { prefix } of untold)
      if (prefix.family === family && locRib.get(family, nlriOf(prefix)) === undefined) yield nlriOf(prefix)
    yield* keysOf(locRib.destinations(family))
  }

  /** A prefix of our own that nobody is told of, as a list of one; of any other an empty one. */
  #untoldTo(peer: string, family: Family, nlri: Nlri): AdvertisedStatus[] {
    const route = this.#deps.untold.find(({ prefix }) => prefix.family === family && nlriOf(prefix) === nlri)
    return route === undefined ? [] : [untoldStatus(route.prefix, peer, route.because)]
  }
}

/** The prefix itself, then those that contain it, the longest first. */
function* outwards({ addr, length }: Prefix): Generator<Prefix, void, void> {
  for (let shorter = length; shorter >= 0; shorter--) yield new Prefix(addr, shorter)
}

function* keysOf(entries: Iterable<readonly [Nlri, unknown]>): Generator<Nlri, void, void> {
  for (const [nlri] of entries) yield nlri
}

function isNew(seen: NlriMap<object>, nlri: Nlri): boolean {
  if (seen.get(nlri) !== undefined) return false
  seen.set(nlri, seen)
  return true
}

function* pieces<From, Item>(
  all: Iterable<From | undefined>,
  itemsOf: (one: From) => readonly Item[],
): Generator<readonly Item[], void, void> {
  let piece: Item[] = []
  let count = 0
  for (const one of all) {
    if (one !== undefined) for (const item of itemsOf(one)) piece.push(item)
    if (++count < pieceSize && piece.length < pieceSize) continue
    yield piece
    piece = []
    count = 0
  }
  yield piece
}
