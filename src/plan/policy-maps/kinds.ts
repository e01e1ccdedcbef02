// Kinds of peers: all addresses that are in the same sets have one number. Pure.
//
// An address is of the kind of the longest prefix with an entry. A block's prefix is of the kind of all sets that have the whole of it, and
// the address of a pod of those and its own.
import { type Addr, Prefix } from '#/lib/addr.ts'
import { type NamedPortMember, type NamedPortSetId, type PeerSet, type PeerSetId, type SetId } from '#/policy/form.ts'
import { Blocks } from './blocks.ts'
import { askedProtocols, type Membership, type NamedPort } from './decide.ts'

export type Kind = Membership & { readonly number: number }

/** One thing that an address is in: a set of peers, or one port of a set of named ports. Equal ones are the same object. */
type Token = { readonly text: string; readonly set?: PeerSetId; readonly name?: NamedPort }

/** What an address is in by itself, without blocks. Equal ones are the same object, since there are many addresses and few of these. */
type Own = { readonly text: string; readonly tokens: ReadonlySet<Token> }

type Place = {
  /** An address alone, or the prefix of a block. */
  readonly of: Addr | Prefix
  own: Own
  kind: Known | undefined
}
type Known = Kind & { readonly text: string; uses: number }

/**
 * Entries may be written and removed in any order: to a set that is there before and after, an address that stays in it or out of it does so at
 * every step, since the set's own prefixes have an entry all the time.
 */
export type KindChanges = {
  readonly written: readonly (readonly [Prefix, Kind])[]
  readonly removed: readonly Prefix[]
  readonly born: readonly Kind[]
  /** Kinds that no address is of any more. */
  readonly retired: readonly Kind[]
}

const nothing: Own = { text: '', tokens: new Set() }

/** Combinations that are not worth being looked through. */
const fewOwns = 256

/** So many that to look at all places is less work than to find those within. */
const fewBlocks = 16

const isAddr = (of: Addr | Prefix): of is Addr => !('length' in of)
const prefixOf = (of: Addr | Prefix): Prefix => (isAddr(of) ? Prefix.host(of) : of)
/** An address and the prefix that has it alone have the same. */
const placeText = (of: Addr | Prefix): string => String(!isAddr(of) && of.length === of.addr.bits ? of.addr : of)

/** All that a kind is in. */
function setsOf({ sets, names }: Kind): Set<SetId> {
  return new Set([...sets, ...names.map(({ set }) => set)])
}

function isAsked(protocol: string): protocol is NamedPort['protocol'] {
  return (askedProtocols as readonly string[]).includes(protocol)
}

export class Kinds {
  readonly #places = new Map<string, Place>()
  readonly #blocks = new Blocks()
  readonly #tokens = new Map<string, Token>()
  readonly #owns = new Map<string, Own>()
  readonly #kinds = new Map<string, Known>()
  readonly #numbers = new Set<number>()
  /** By what they are in. */
  readonly #bySet = new Map<SetId, Set<Known>>()
  readonly #dirty = new Set<string>()
  /** Since the last time; what is in them is dirty too. */
  #changedBlocks: Prefix[] = []
  #lastNumber = 0

  /** Whether an address is of the kind. */
  hasNumber(kind: number): boolean {
    return this.#numbers.has(kind)
  }

  /** Those that are in any of the sets. */
  *inAnyOf(sets: Iterable<SetId>): Iterable<Kind> {
    const seen = new Set<Known>()
    for (const id of sets)
      for (const kind of this.#bySet.get(id) ?? []) {
        if (seen.has(kind)) continue
        seen.add(kind)
        yield kind
      }
  }

  /** How many prefixes have an entry. */
  get size(): number {
    return this.#places.size
  }

  *entries(): Iterable<readonly [Prefix, Kind]> {
    for (const { of, kind } of this.#places.values()) if (kind) yield [prefixOf(of), kind]
  }

  kindOf(prefix: Prefix): Kind | undefined {
    return this.#places.get(placeText(prefix))?.kind
  }

  /** The named ports of a pod with the address. */
  namesOf(addr: Addr): NamedPort[] {
    const own = this.#places.get(String(addr))?.own ?? nothing
    return [...own.tokens].flatMap(({ name }) => name ?? [])
  }

  addSet(set: PeerSet, members: Iterable<Addr>): void {
    if (set.kind === 'pods') for (const addr of members) this.addMember(set.id, addr)
    else for (const prefix of set.prefixes) this.#addBlock(set.id, prefix)
  }

  #addBlock(id: PeerSetId, prefix: Prefix): void {
    this.#blocks.add(id, prefix)
    this.#placeOf(prefix)
    this.#changedBlocks.push(prefix)
  }

  removeBlocks(id: PeerSetId, prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) this.#blocks.remove(id, prefix)
    this.#changedBlocks.push(...prefixes)
  }

  addMember(set: PeerSetId, addr: Addr): void {
    this.#change(addr, this.#token({ text: `p ${set}`, set }), true)
  }

  removeMember(set: PeerSetId, addr: Addr): void {
    this.#change(addr, this.#token({ text: `p ${set}`, set }), false)
  }

  addName(set: NamedPortSetId, member: NamedPortMember): void {
    this.#changeName(set, member, true)
  }

  removeName(set: NamedPortSetId, member: NamedPortMember): void {
    this.#changeName(set, member, false)
  }

  #changeName(set: NamedPortSetId, { addr, protocol, port }: NamedPortMember, isIn: boolean): void {
    if (!isAsked(protocol)) return
    this.#change(addr, this.#token({ text: `n ${set} ${protocol} ${port}`, name: { set, protocol, port } }), isIn)
  }

  /** Takes all addresses out of sets that are gone. */
  removeSets(peers: ReadonlySet<PeerSetId>, names: ReadonlySet<NamedPortSetId>): void {
    const isGone = ({ set, name }: Token): boolean => (set !== undefined ? peers.has(set) : names.has(name!.set))
    const gone = [...this.#tokens.values()].filter(isGone)
    if (gone.length === 0) return
    const lost = new Set(gone)
    for (const [text, place] of this.#places) {
      if (place.own.tokens.isDisjointFrom(lost)) continue
      for (const token of gone) place.own = this.#next(place.own, token, false)
      this.#dirty.add(text)
    }
    for (const { text } of gone) this.#tokens.delete(text)
    for (const [text, { tokens }] of this.#owns) if (!tokens.isDisjointFrom(lost)) this.#owns.delete(text)
  }

  #token(token: Token): Token {
    const known = this.#tokens.get(token.text)
    if (known) return known
    this.#tokens.set(token.text, token)
    return token
  }

  #placeOf(of: Addr | Prefix): Place {
    const text = placeText(of)
    const known = this.#places.get(text)
    if (known) return known
    const place: Place = { of, own: nothing, kind: undefined }
    this.#places.set(text, place)
    return place
  }

  #change(addr: Addr, token: Token, isIn: boolean): void {
    const place = this.#placeOf(addr)
    this.#dirty.add(String(addr))
    place.own = this.#next(place.own, token, isIn)
  }

  /** The same with one token more or less. */
  #next(own: Own, token: Token, isIn: boolean): Own {
    if (own.tokens.has(token) === isIn) return own
    const tokens = isIn ? [...own.tokens, token] : [...own.tokens].filter((each) => each !== token)
    if (tokens.length === 0) return nothing
    const text = tokens
      .map((each) => each.text)
      .sort()
      .join('\n')
    const known = this.#owns.get(text)
    if (known) return known
    const made = { text, tokens: new Set(tokens) }
    this.#owns.set(text, made)
    return made
  }

  /** Blocks that have changed concern all within them. */
  #spread(): void {
    const blocks = this.#changedBlocks
    this.#changedBlocks = []
    if (blocks.length > fewBlocks) for (const text of this.#places.keys()) this.#dirty.add(text)
    else if (blocks.length > 0)
      for (const [text, { of }] of this.#places) if (blocks.some((block) => block.contains(of))) this.#dirty.add(text)
  }

  /** Settles what has changed since the last time. */
  settle(): KindChanges {
    this.#spread()
    const written: [Prefix, Kind][] = []
    const removed: Prefix[] = []
    const born: Kind[] = []
    const touched = new Set<Known>()
    for (const text of this.#dirty) {
      const place = this.#places.get(text)
      if (place === undefined) continue
      const { of, own, kind: before } = place
      const prefix = prefixOf(of)
      const isThere = own !== nothing || this.#blocks.has(prefix)
      const after = isThere ? this.#kindOf(prefix, own, born) : undefined
      if (!isThere) this.#places.delete(text)
      if (before === after) continue
      place.kind = after
      if (before) {
        before.uses--
        touched.add(before)
      }
      if (after) {
        after.uses++
        written.push([prefix, after])
      } else removed.push(prefix)
    }
    this.#dirty.clear()
    const retired = [...touched].filter(({ uses }) => uses === 0)
    for (const kind of retired) this.#forget(kind)
    this.#forgetOwns()
    return {
      written,
      removed,
      born: born.filter((kind) => (kind as Known).uses > 0),
      retired,
    }
  }

  #kindOf(prefix: Prefix, own: Own, born: Kind[]): Known {
    const blocks = this.#blocks.setsOf(prefix).sort()
    const text = `${own.text}\n\n${blocks.join('\n')}`
    const known = this.#kinds.get(text)
    if (known) return known
    const tokens = [...own.tokens]
    const sets = new Set([...tokens.flatMap(({ set }) => set ?? []), ...blocks])
    const names = tokens.flatMap(({ name }) => name ?? [])
    const kind: Known = { text, sets, names, number: ++this.#lastNumber, uses: 0 }
    this.#kinds.set(text, kind)
    this.#numbers.add(kind.number)
    for (const id of setsOf(kind)) {
      const ofSet = this.#bySet.get(id) ?? new Set()
      this.#bySet.set(id, ofSet.add(kind))
    }
    born.push(kind)
    return kind
  }

  #forget(kind: Known): void {
    this.#kinds.delete(kind.text)
    this.#numbers.delete(kind.number)
    for (const id of setsOf(kind)) {
      const ofSet = this.#bySet.get(id)
      ofSet?.delete(kind)
      if (ofSet?.size === 0) this.#bySet.delete(id)
    }
  }

  /** Forgets combinations that no address has. */
  #forgetOwns(): void {
    if (this.#owns.size <= 2 * this.#kinds.size + fewOwns) return
    const used = new Set(Array.from(this.#places.values(), ({ own }) => own))
    for (const [text, own] of this.#owns) if (!used.has(own)) this.#owns.delete(text)
  }
}
