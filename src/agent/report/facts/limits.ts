// How much of each kind is told, of one namespace. What there is more of is cut, and told to be.
import { setImmediate } from 'node:timers/promises'
import { turn } from '#/kernel/turns.ts'

export const most = {
  links: 4_000,
  addresses: 8_000,
  routes: 20_000,
  rules: 2_000,
  neighbours: 8_000,
  'bridge entries': 8_000,
  listeners: 2_000,
  programs: 2_000,
  chains: 2_000,
  'rules of firewalls': 20_000,
  'elements of sets': 50_000,
  /** Of one map. */
  'entries of maps of programs': 20_000,
} as const
export type Limited = keyof typeof most

/** In turns of the event loop. */
export async function madeInTurns<In, Out>(all: Iterable<In>, make: (each: In) => Out): Promise<Out[]> {
  const made: Out[] = []
  let isOver = turn()
  for (const each of all) {
    if (isOver()) {
      await setImmediate()
      isOver = turn()
    }
    made.push(make(each))
  }
  return made
}

/** Notes what was cut. */
export class Cuts {
  readonly #cut: string[] = []
  readonly #where: string

  constructor(where: string) {
    this.#where = where
  }

  get found(): readonly string[] {
    return this.#cut
  }

  note(kind: Limited, leftOut: number): void {
    const of = this.#where === '' ? '' : ` of ${this.#where}`
    this.#cut.push(`${leftOut} ${kind}${of} are not told`)
  }

  /** As many as are told of the kind, made in turns of the event loop. */
  async told<In, Out>(kind: Limited, all: readonly In[], make: (each: In) => Out): Promise<Out[]> {
    const kept = all.length > most[kind] ? all.slice(0, most[kind]) : all
    if (kept.length < all.length) this.note(kind, all.length - kept.length)
    return madeInTurns(kept, make)
  }
}
