// Picks, from all routes of all tables, those of others that concern part of a pod CIDR: one address of the CIDR cannot show them, so they
// are asked about one by one. Also keeps routes that drop packets, because the kernel's refusal does not name its route. Pure.
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type Route } from '#/wire/netlink/route.ts'

export class ForeignParts {
  readonly #isAsked: (cidr: string) => boolean
  /** The lengths of the CIDRs by family: nearly always one, so that a route is looked up without a walk over all CIDRs. */
  readonly #lengths: { readonly [F in Family]: Set<number> } = { 4: new Set(), 6: new Set() }
  readonly #addrs = new Map<string, Map<string, Addr>>()
  readonly #dropping: Route[] = []

  /** `cidrs` are the CIDRs that are asked about, and `isAsked` tells of a text whether it is one of them: no second list of thousands. */
  constructor(cidrs: Iterable<Prefix>, isAsked: (cidr: string) => boolean) {
    this.#isAsked = isAsked
    for (const cidr of cidrs) this.#lengths[cidr.family].add(cidr.length)
  }

  /** Looks at another's route of any table. */
  take({ dst, type, ...route }: Route): void {
    if (type !== 'unicast' && type !== 'local') this.#dropping.push({ dst, type, ...route })
    for (const length of this.#lengths[dst.family]) {
      if (length >= dst.length) continue
      const cidr = String(new Prefix(dst.addr, length))
      if (!this.#isAsked(cidr)) continue
      const addr = addressIn(dst)
      const addrs = this.#addrs.get(cidr) ?? new Map<string, Addr>()
      this.#addrs.set(cidr, addrs.set(String(addr), addr))
    }
  }

  /** Routes that drop packets. */
  get dropping(): readonly Route[] {
    return this.#dropping
  }

  /** One address of each of others' routes to a part of the CIDR. */
  addressesIn(cidr: Prefix): readonly Addr[] {
    return this.#addrs.size === 0 ? [] : [...(this.#addrs.get(String(cidr))?.values() ?? [])]
  }
}

/** An address that stands for a whole network: neither its network address nor the first one, which its gateway may have. */
export function addressIn(network: Prefix): Addr {
  return network.size > 2n ? network.at(2) : network.addr
}
