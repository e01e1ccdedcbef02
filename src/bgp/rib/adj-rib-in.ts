// Adj-RIB-In (RFC 4271 section 3.2): what one peer has sent of one family, over all its sessions.
//
// Routes that are to go some time (stale ones of RFC 4724, those that a refresh of RFC 7313 did not bring again, all of a session that
// is over) are not marked one by one: paths carry the epoch in which they came, and are told from newer ones by it.
import { type Family } from '#/lib/addr.ts'
import { type Nlri, type PathAttributes, type PathNextHop } from '#/wire/bgp/values.ts'
import { type Neighbour } from '../contract.ts'
import { attributesKey } from './attributes.ts'
import { FaultyRoutes } from './faulty-routes.ts'
import { type Importer } from './import.ts'
import { NlriMap } from './nlri-map.ts'
import { type Path, type PathSource, type Received } from './path.ts'

/** How many sets of attributes are remembered, so that another UPDATE with the same ones shares their object. */
const maxRecent = 512

export class AdjRibIn implements PathSource {
  readonly peer: string
  readonly family: Family
  importer: Importer
  isClient: boolean
  staleBefore = 0
  staleUntilMs: number | undefined
  /** Routes of earlier epochs than this are being removed; undefined: none are. */
  removing: number | undefined
  /** The epoch in which the peer began to answer a refresh; undefined: it answers none. */
  refreshFrom: number | undefined
  readonly faulty = new FaultyRoutes()
  #epoch = 1
  #accepted = 0
  readonly #paths = new NlriMap<Path>()
  readonly #recent = new Map<string, Received>()
  #last: Received | undefined

  constructor(peer: string, family: Family, importer: Importer, isClient: boolean) {
    this.peer = peer
    this.family = family
    this.importer = importer
    this.isClient = isClient
  }

  get epoch(): number {
    return this.#epoch
  }

  get received(): number {
    return this.#paths.size
  }

  get accepted(): number {
    return this.#accepted
  }

  /** Everything that is held so far is older than what comes from now on. Returns the new epoch. */
  nextEpoch(): number {
    this.#recent.clear()
    this.#last = undefined
    return ++this.#epoch
  }

  /** What came with these attributes: the same object as for an UPDATE before with the same ones, while that is remembered. */
  receivedOf(neighbour: Neighbour, attributes: PathAttributes, nextHop: PathNextHop): Received {
    const last = this.#last
    if (
      last !== undefined &&
      last.attributes === attributes &&
      last.nextHop.addr === nextHop.addr &&
      last.nextHop.linkLocal === nextHop.linkLocal
    ) {
      return last
    }
    const key = `${nextHop.addr} ${nextHop.linkLocal ?? ''} ${attributesKey(attributes)}`
    let received = this.#recent.get(key)
    if (received === undefined) {
      received = {
        source: this,
        neighbour,
        attributes,
        nextHop,
        epoch: this.#epoch,
        reach: undefined,
        decided: undefined,
      }
      if (this.#recent.size >= maxRecent) this.#recent.clear()
      this.#recent.set(key, received)
    }
    this.#last = received
    return received
  }

  get(nlri: Nlri): Path | undefined {
    return this.#paths.get(nlri)
  }

  /** Returns what was there before. */
  set(nlri: Nlri, path: Path | undefined): Path | undefined {
    const old = this.#paths.get(nlri)
    if (old === path) return old
    if (old !== undefined && old.refusal === undefined) this.#accepted--
    if (path === undefined) this.#paths.delete(nlri)
    else {
      this.#paths.set(nlri, path)
      if (path.refusal === undefined) this.#accepted++
    }
    return old
  }

  /** See NlriMap. */
  entries(): IterableIterator<[Nlri, Path]> {
    return this.#paths.entries()
  }
}
