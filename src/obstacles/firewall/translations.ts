// Which other addresses a packet may get in chains of type nat, also where chance decides: a proxy of services chooses one of several ends.
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { type DecodedExpression } from '#/wire/nftables/expressions.ts'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { both, type Level } from './packet.ts'
import { type WalkInput } from './walk.ts'

export type Translation = {
  readonly chain: string
  readonly rule: ForeignRule
  /** Counts the rules of the chain from 1. */
  readonly number: number
  /** Whether the packet gets this one for sure, if none before it. */
  readonly isSure: boolean
  /** The chains through which the packet came, from the base chain on. */
  readonly path: readonly string[]
} & Target

export type Target =
  /** The source becomes an address of the device by which the packet leaves, or the one that is named. */
  | { readonly kind: 'source'; readonly addr?: Addr }
  /** Absent: the address or port is not replaced, or not told in the rule. */
  | { readonly kind: 'destination'; readonly addr?: Addr; readonly port?: number }

const maxDepth = 16
const maxRules = 20_000
/** A rule of iptables takes some 40 us to be decoded and compared. */
const rulesPerTurn = 64
/** More ends than these of one service are counted no further. */
const maxTranslations = 1000

/** All translations that packets may get in a base chain; a class of packets gets the first, or one by chance. `pause` gives others a turn. */
export async function translationsOf(input: WalkInput, pause: () => Promise<void>): Promise<Translation[]> {
  const search = new Search(input, pause)
  await search.follow(input.chain, 'all', [])
  return search.found
}

class Search {
  readonly #input: WalkInput
  readonly #pause: () => Promise<void>
  readonly found: Translation[] = []
  #rulesLeft = maxRules

  constructor(input: WalkInput, pause: () => Promise<void>) {
    this.#input = input
    this.#pause = pause
  }

  /** Whether all packets have ended in the chain. */
  async follow(chain: string, entering: Level, above: readonly string[]): Promise<boolean> {
    const rules = above.length < maxDepth ? await this.#input.rulesOf(chain) : undefined
    const path = [...above, chain]
    for (const [index, rule] of (rules ?? []).entries()) {
      if (this.#rulesLeft-- <= 0 || this.found.length >= maxTranslations) return true
      if (this.#rulesLeft % rulesPerTurn === 0) await this.#pause()
      const step = this.#input.stepOf(rule)
      const { level, verdict } = step instanceof Promise ? await step : step
      const reached = both(level, entering)
      if (verdict.kind === 'continue' || reached === 'none' || reached === 'some') continue
      const isSure = reached === 'all'
      if (verdict.kind === 'translate') {
        this.found.push({ chain, rule, number: index + 1, isSure, path, ...targetOf(rule.expressions) })
        if (isSure) return true
      } else if (verdict.kind === 'jump' || verdict.kind === 'goto') {
        const hasEnded = await this.follow(verdict.chain, reached, path)
        if (hasEnded && isSure) return true
        if (verdict.kind === 'goto' && level === 'all') return false
      } else if (verdict.kind === 'other') {
        for (const each of verdict.chains ?? []) await this.follow(each, 'maybe', path)
        if (isSure) return true
      } else if (level === 'all') {
        return verdict.kind !== 'return'
      }
    }
    return false
  }
}

const NFT_NAT_SNAT = 0
/** NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED. */
const MAP_IPS = 1
const PROTO_SPECIFIED = 2

/** What a rule makes of the addresses; for its own expressions, and for those of iptables. */
export function targetOf(expressions: readonly DecodedExpression[]): Target {
  const loaded = new Map<number, Uint8Array>()
  for (const each of expressions) {
    if (each.name === 'immediate' && each.attrs.data?.value) loaded.set(each.attrs.dreg ?? 0, each.attrs.data.value)
    else if (each.name === 'masq') return { kind: 'source' }
    else if (each.name === 'nat') {
      const { type, regAddrMin, regProtoMin } = each.attrs
      const addr = addrOf(loaded.get(regAddrMin ?? -1))
      const port = loaded.get(regProtoMin ?? -1)
      if (type === NFT_NAT_SNAT || type === undefined) return { kind: 'source', ...(addr && { addr }) }
      return { kind: 'destination', ...(addr && { addr }), ...(port && { port: (port[0]! << 8) | port[1]! }) }
    } else if (each.name === 'target') {
      return xtTargetOf(each.attrs.name ?? '', each.attrs.revision ?? 0, each.attrs.info ?? new Uint8Array())
    }
  }
  return { kind: 'destination' }
}

function addrOf(bytes: Uint8Array | undefined): Addr | undefined {
  return bytes?.length === 4 || bytes?.length === 16 ? Addr.fromBytes(bytes) : undefined
}

/** struct nf_nat_range2 of revisions 1 and 2; revision 0, and SNAT of old, has struct nf_nat_ipv4_multi_range_compat. */
function xtTargetOf(name: string, revision: number, info: Uint8Array): Target {
  const kind = name === 'SNAT' || name === 'MASQUERADE' ? 'source' : 'destination'
  const isOld = revision === 0 && info.length < 36
  const [flagsAt, addrAt, addrBytes, portAt] = isOld ? [4, 8, 4, 16] : [0, 4, 16, 36]
  if (name === 'MASQUERADE' || info.length < portAt + 2) return { kind }
  const view = viewOf(info)
  const flags = view.getUint32(flagsAt, true)
  const bytes = info.subarray(addrAt, addrAt + addrBytes)
  // an IPv4 address is in the first bytes of the union
  const isV4 = isOld || bytes.subarray(4).every((each) => each === 0)
  const addr = (flags & MAP_IPS) === 0 ? undefined : Addr.fromBytes(isV4 ? bytes.subarray(0, 4) : bytes)
  if (kind === 'source') return { kind, ...(addr && { addr }) }
  return {
    kind,
    ...(addr && { addr }),
    ...((flags & PROTO_SPECIFIED) !== 0 && { port: view.getUint16(portAt, false) }),
  }
}
