// What somebody else does to our objects again and again: settings that are changed, and routes that are deleted. They are set right at once a few
// times, then after a pause that grows, and that is told. Two programs that undo each other at once would do nothing else.
import { type ObjectKind } from '#/model/object-kinds.ts'
import { routeProtocol } from '#/model/names.ts'
import { problem } from '#/model/problems.ts'
import { Contests, type Pauses } from './contest.ts'
import { type Blockade, type Change } from './driver.ts'
import { type Failure } from './status.ts'

/** Objects that have settings; all others are only there or not. */
const kinds: ReadonlySet<ObjectKind> = new Set(['link', 'port', 'sysctl'])
/** Pods are cut off while a route is gone: the pause keeps the agent from doing nothing else, no more. */
const routePauses: Pauses = { firstMs: 250, maxMs: 2_000 }
const toldRoutes = 3

export class Rewrites {
  readonly #contests: Contests
  /** The last change of each contested object. */
  readonly #changes = new Map<string, Change>()
  readonly #routes: Contests
  readonly #lost = new Set<string>()

  /** `nowMs` is a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#contests = new Contests(nowMs)
    this.#routes = new Contests(nowMs, routePauses)
  }

  /** The changes that may be carried out now. */
  admitted(kind: ObjectKind, changes: readonly Change[]): readonly Change[] {
    if (kind === 'route') return changes.filter((change) => !this.#isHeldBack(change))
    if (!kinds.has(kind)) return changes
    return changes.filter(({ verb, key }) => verb !== 'change' || this.#contests.mayCorrect(`${kind}/${key}`))
  }

  #isHeldBack({ key, isRestoration }: Change): boolean {
    return isRestoration === true && !this.#routes.mayCorrect(key)
  }

  /** The objects that are not there until a pause is over: the next pass is to look again. */
  heldBack(kind: ObjectKind, changes: readonly Change[]): Map<string, Failure> {
    const held = kind === 'route' ? changes.filter((change) => this.#isHeldBack(change)) : []
    const message = 'it is gone again, and is made again in a moment'
    return new Map(held.map(({ key }) => [key, { message, isTold: true }]))
  }

  /** Takes note of a change that was carried out. */
  carriedOut(kind: ObjectKind, change: Change): void {
    if (kind === 'route' && change.isRestoration) {
      this.#routes.corrected(change.key)
      if (this.#routes.contestOf(change.key)) this.#lost.add(change.key)
    }
    if (change.verb !== 'change' || !kinds.has(kind)) return
    const object = `${kind}/${change.key}`
    this.#contests.corrected(object)
    if (this.#contests.contestOf(object)) this.#changes.set(object, change)
  }

  /** One for each contested object, and one for all routes. */
  get blockades(): Blockade[] {
    const settings = [...this.#changes].flatMap(([object, { commands }]) => {
      const contest = this.#contests.contestOf(object)
      if (contest === undefined) {
        this.#changes.delete(object)
        return []
      }
      const { count, pauseMs } = contest
      const message = `somebody changes it again and again: it was set back ${count} times in a row (${commands.join('; ')}), and is set back again at the earliest ${pauseMs / 1000} s after the last time`
      return [{ problem: problem('CW2009', object, message), cutsPodsOff: false }]
    })
    return [...settings, ...this.#ofRoutes()]
  }

  #ofRoutes(): Blockade[] {
    for (const key of this.#lost) if (this.#routes.contestOf(key) === undefined) this.#lost.delete(key)
    const lost = [...this.#lost]
    if (lost.length === 0) return []
    const more = lost.length > toldRoutes ? ` and ${lost.length - toldRoutes} more` : ''
    const count = Math.max(...lost.map((key) => this.#routes.contestOf(key)?.count ?? 0))
    const message = `somebody deletes routes of Causeway again and again, or their device goes and comes: ${lost.slice(0, toldRoutes).join(', ')}${more} had to be made again up to ${count} times in a row`
    const remedy = `see who does it with "ip monitor route" (NetworkManager, systemd-networkd with ManageForeignRoutes, a routing daemon) and have it leave routes of protocol ${routeProtocol} alone`
    return [{ problem: problem('CW2009', 'node/routes', message, { remedy }), cutsPodsOff: false }]
  }
}
