// Settings of our objects that somebody else changes again and again: they are set back at once a few times, then after a pause that grows,
// and that is told. Two programs that undo each other at once would do nothing else.
import { type ObjectKind } from '#/model/object-kinds.ts'
import { problem } from '#/model/problems.ts'
import { Contests } from './contest.ts'
import { type Blockade, type Change } from './driver.ts'

/** Objects that have settings; all others are only there or not. */
const kinds: ReadonlySet<ObjectKind> = new Set(['link', 'port', 'sysctl'])

export class Rewrites {
  readonly #contests: Contests
  /** The last change of each contested object. */
  readonly #changes = new Map<string, Change>()

  /** `nowMs` is a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#contests = new Contests(nowMs)
  }

  /** The changes that may be carried out now. */
  admitted(kind: ObjectKind, changes: readonly Change[]): readonly Change[] {
    if (!kinds.has(kind)) return changes
    return changes.filter(({ verb, key }) => verb !== 'change' || this.#contests.mayCorrect(`${kind}/${key}`))
  }

  /** Takes note of a change that was carried out. */
  carriedOut(kind: ObjectKind, change: Change): void {
    if (change.verb !== 'change' || !kinds.has(kind)) return
    const object = `${kind}/${change.key}`
    this.#contests.corrected(object)
    if (this.#contests.contestOf(object)) this.#changes.set(object, change)
  }

  /** One for each contested object. */
  get blockades(): Blockade[] {
    return [...this.#changes].flatMap(([object, { commands }]) => {
      const contest = this.#contests.contestOf(object)
      if (contest === undefined) {
        this.#changes.delete(object)
        return []
      }
      const { count, pauseMs } = contest
      const message = `somebody changes it again and again: it was set back ${count} times in a row (${commands.join('; ')}), and is set back again at the earliest ${pauseMs / 1000} s after the last time`
      return [{ problem: problem('CW2009', object, message), cutsPodsOff: false }]
    })
  }
}
