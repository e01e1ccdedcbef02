// For tests: in place of a RIB, one that writes down what it is told.
import { type Family } from '#/lib/addr.ts'
import { type SpeakerConfig } from '#/model/bgp.ts'
import { encodeEndOfRib } from '#/wire/bgp/index.ts'
import { type RouteRefresh, type Update } from '#/wire/bgp/values.ts'
import { type Neighbour, type Outlet, type RouteSink, type SessionEnd } from '../contract.ts'

export class FakeRoutes implements RouteSink {
  /** In order, such as "up b" or "down b restarting 4". */
  readonly told: string[] = []
  readonly neighbours = new Map<string, { readonly neighbour: Neighbour; readonly outlet: Outlet }>()
  readonly received = new Map<string, number>()
  /** What the import policy has taken; all of it, where nothing is said. */
  readonly accepted = new Map<string, number>()
  readonly updates: Update[] = []
  /** By "peer family". */
  readonly keptUntil = new Map<string, number>()
  drains = 0
  readonly #defer: (call: () => void) => void
  #config: SpeakerConfig | undefined

  constructor(deps: { readonly defer: (call: () => void) => void }) {
    this.#defer = deps.defer
  }

  /** Whether End-of-RIB may be sent. */
  isDeferralOver = false

  endDeferral(): void {
    this.isDeferralOver = true
  }

  whenDecided(call: () => void): void {
    this.#defer(call)
  }

  configure(config: SpeakerConfig): void {
    this.#config = config
  }

  get config(): SpeakerConfig | undefined {
    return this.#config
  }

  up(neighbour: Neighbour, outlet: Outlet): { readonly onDrain: () => void } {
    const { name } = neighbour.config
    this.told.push(`up ${name}`)
    this.neighbours.set(name, { neighbour, outlet })
    for (const family of neighbour.wire.families) outlet.write(encodeEndOfRib(family))
    return { onDrain: () => this.drains++ }
  }

  down(neighbour: Neighbour, end: SessionEnd): void {
    const { name } = neighbour.config
    const families = end.kind === 'gone' ? '' : ` ${end.families.join(',')}`
    this.told.push(`down ${name} ${end.kind}${families}`)
    this.neighbours.delete(name)
  }

  update(neighbour: Neighbour, update: Update): void {
    this.updates.push(update)
    const { name } = neighbour.config
    if (update.endOfRib !== undefined) this.told.push(`end-of-rib ${name} ${update.endOfRib}`)
    const announced = update.announced.reduce((sum, { nlri }) => sum + nlri.length, 0)
    if (announced > 0) this.received.set(name, (this.received.get(name) ?? 0) + announced)
  }

  refresh(neighbour: Neighbour, { family, kind }: RouteRefresh): void {
    this.told.push(`refresh ${neighbour.config.name} ${family} ${kind}`)
  }

  sweepStale(peer: string, family: Family, options?: { readonly toLongLived: boolean }): void {
    this.told.push(`${options?.toLongLived === true ? 'long-lived' : 'sweep'} ${peer} ${family}`)
  }

  keepStale(peer: string, family: Family, untilMs: number): void {
    this.keptUntil.set(`${peer} ${family}`, untilMs)
  }

  counts(peer: string): { readonly received: number; readonly accepted: number; readonly advertised: number } {
    const received = this.received.get(peer) ?? 0
    return { received, accepted: this.accepted.get(peer) ?? received, advertised: 0 }
  }
}
