// A portion of changes as messages for the members of an update group: encoded once, with the place of what each source must not get
// back.
import { type Prefix } from '#/lib/addr.ts'
import { encodeAnnouncements, encodeWithdrawals, prefixOf } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type ExportRules } from './export.ts'
import { type Path, type PathSource } from './path.ts'
import { type Outcome } from './policy.ts'
import { type LogEntry } from './route-log.ts'

/** About what a socket takes at once. */
const targetBytes = 64 * 1024
/** Of a message without its prefixes, roughly. */
const overheadBytes = 80

type Pack = { readonly path: Path; readonly outcome: Outcome; readonly nlri: Nlri[] }

export type Chunk = {
  readonly bytes: Uint8Array
  /** What a source must not get. */
  readonly holes: ReadonlyMap<PathSource, { readonly start: number; readonly end: number }>
  /** What it gets instead: others' routes to these prefixes, which it may have, are no longer advertised. */
  readonly instead: ReadonlyMap<PathSource, Uint8Array>
}

/** `count` prefixes, of which `prefix` is one, have attributes that fit into no message. */
export type EncodeFailure = (error: RangeError, prefix: Prefix, count: number) => void

export class Portion {
  readonly #rules: ExportRules
  readonly #packs = new Map<PathSource | undefined, Map<Path, Pack[]>>()
  readonly #withdrawn: Nlri[] = []
  readonly #withdrawnFromSource = new Map<PathSource, Nlri[]>()
  readonly #onFailure: EncodeFailure
  #bytes = 0

  constructor(rules: ExportRules, onFailure: EncodeFailure) {
    this.#rules = rules
    this.#onFailure = onFailure
  }

  /** Returns whether there is room for more. */
  add({ path, nlri, isMixed }: LogEntry): boolean {
    if (nlri === undefined) return true
    this.#bytes += nlri.length
    const outcome = path && this.#rules.decide(path, nlri)
    if (path === undefined || outcome === undefined) this.#withdrawn.push(nlri)
    else {
      this.#packOf(path, outcome).nlri.push(nlri)
      if (isMixed && path.source !== undefined) this.#withdrawFrom(path.source, nlri)
    }
    return this.#bytes < targetBytes
  }

  #packOf(path: Path, outcome: Outcome): Pack {
    let bySource = this.#packs.get(path.source)
    if (bySource === undefined) this.#packs.set(path.source, (bySource = new Map<Path, Pack[]>()))
    const packs = bySource.get(path)
    const known = packs?.find((pack) => pack.outcome === outcome)
    if (known !== undefined) return known
    const pack: Pack = { path, outcome, nlri: [] }
    bySource.set(path, [...(packs ?? []), pack])
    this.#bytes += overheadBytes
    return pack
  }

  #withdrawFrom(source: PathSource, nlri: Nlri): void {
    const list = this.#withdrawnFromSource.get(source)
    if (list === undefined) this.#withdrawnFromSource.set(source, [nlri])
    else list.push(nlri)
  }

  /** `isForSourceOnly` tells of sources whose own routes nobody else would get. */
  encode(isForSourceOnly: (source: PathSource) => boolean): Chunk {
    const { family } = this.#rules.settings
    const pieces: Uint8Array[] = []
    let length = 0
    const push = (bytes: Uint8Array): void => {
      pieces.push(bytes)
      length += bytes.length
    }
    if (this.#withdrawn.length > 0) push(encodeWithdrawals(family, this.#withdrawn))
    const holes = new Map<PathSource, { start: number; end: number }>()
    for (const [source, bySource] of this.#packs) {
      if (source !== undefined && isForSourceOnly(source)) continue
      const start = length
      for (const packs of bySource.values()) for (const pack of packs) push(this.#encode(pack))
      if (source !== undefined) holes.set(source, { start, end: length })
    }
    const instead = new Map<PathSource, Uint8Array>()
    for (const [source, nlri] of this.#withdrawnFromSource) {
      instead.set(source, encodeWithdrawals(family, nlri))
    }
    return { bytes: joined(pieces, length), holes, instead }
  }

  /** What does not fit into a message is withdrawn: the neighbour must not go on using what it had. */
  #encode({ path, outcome, nlri }: Pack): Uint8Array {
    const { wire, settings } = this.#rules
    const { family } = settings
    try {
      const route = {
        family,
        nextHop: this.#rules.nextHopOf(path)!,
        attributes: this.#rules.attributesOf(path, outcome),
      }
      return encodeAnnouncements(route, nlri, wire)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#onFailure(error, prefixOf(nlri[0]!, family), nlri.length)
      return encodeWithdrawals(family, nlri)
    }
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  if (pieces.length === 1) return pieces[0]!
  const bytes = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
