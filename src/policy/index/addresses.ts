// Which pods have an address. Two may for a moment: one whose end is not known yet, and one that got its address.
import { type Addr } from '#/lib/addr.ts'
import { type PodState } from './state.ts'

const none: readonly PodState[] = []

export const isLocalAt = ({ locals }: PodState, addr: Addr): boolean =>
  locals.some(({ local }) => local.addrs.some((each) => each.equals(addr)))

export class Addresses {
  /** In the order in which they came by it; mostly there is one, and it has no list of its own. */
  readonly #claims = new Map<string, PodState | readonly PodState[]>()
  /** How many interfaces of this node have the address. */
  readonly #locals = new Map<string, number>()

  /** Who counts as having it: of an address that an interface of this node has, only that interface's pod. */
  podsAt(addr: Addr): readonly PodState[] {
    const claims = this.#claimsOf(addr)
    return this.#locals.has(`${addr}`) ? claims.filter((pod) => isLocalAt(pod, addr)) : claims
  }

  /** The pod that got it last. */
  podAt(addr: Addr): PodState | undefined {
    return this.podsAt(addr).at(-1)
  }

  claim(pod: PodState, addr: Addr): void {
    const claims = this.#claimsOf(addr)
    if (!claims.includes(pod)) this.#setClaims(addr, [...claims, pod])
  }

  release(pod: PodState, addr: Addr): void {
    this.#setClaims(
      addr,
      this.#claimsOf(addr).filter((each) => each !== pod),
    )
  }

  #claimsOf(addr: Addr): readonly PodState[] {
    const claims = this.#claims.get(`${addr}`)
    if (claims === undefined) return none
    return 'told' in claims ? [claims] : claims
  }

  #setClaims(addr: Addr, claims: readonly PodState[]): void {
    const [only] = claims
    if (only === undefined) this.#claims.delete(`${addr}`)
    else this.#claims.set(`${addr}`, claims.length === 1 ? only : claims)
  }

  addLocal(addr: Addr): void {
    this.#locals.set(`${addr}`, (this.#locals.get(`${addr}`) ?? 0) + 1)
  }

  removeLocal(addr: Addr): void {
    const count = (this.#locals.get(`${addr}`) ?? 0) - 1
    if (count > 0) this.#locals.set(`${addr}`, count)
    else this.#locals.delete(`${addr}`)
  }

  /** Makes a change of who has the addresses, with which labels, and has all sets that it concerns note what was before. */
  change(addrs: readonly Addr[], make: () => void): void {
    for (const addr of addrs) this.#note(addr, true)
    make()
    // whoever is not noted as a member by now was none
    for (const addr of addrs) this.#note(addr, false)
  }

  #note(addr: Addr, wasMember: boolean): void {
    for (const pod of this.podsAt(addr)) {
      const { group } = pod
      if (group === undefined) continue
      const { peerSets, namedPortSets } = group.namespace
      for (const set of peerSets.candidates(group.labels)) if (set.groups.has(group)) set.note(pod, addr, wasMember)
      for (const set of namedPortSets) if (set.groups.has(group)) set.note(pod, addr, wasMember)
    }
  }
}
