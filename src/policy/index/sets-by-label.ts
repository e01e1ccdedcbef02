// Peer sets by the labels that they ask for: most of a thousand say "app=this", so that a pod concerns few of them.
import { type Labels } from '../cluster.ts'
import { type PeerMembership } from './state.ts'

/** So many are asked themselves in less time than it takes to look for those that count. */
const few = 16
const none: readonly PeerMembership[] = []

const textOf = (key: string, value: string): string => `${key}=${value}`

export class SetsByLabel implements Iterable<PeerMembership> {
  readonly #all = new Set<PeerMembership>()
  /** Those that ask for one of some values of a label, under each of these values. */
  readonly #asking = new Map<string, readonly PeerMembership[]>()
  readonly #others = new Set<PeerMembership>()

  get size(): number {
    return this.#all.size
  }

  has(set: PeerMembership): boolean {
    return this.#all.has(set)
  }

  [Symbol.iterator](): Iterator<PeerMembership> {
    return this.#all[Symbol.iterator]()
  }

  /** All that may take a pod with these labels, each once; and others. */
  candidates(labels: Labels): Iterable<PeerMembership> {
    if (this.#all.size <= few) return this.#all
    const found = [...this.#others]
    for (const key of Object.keys(labels)) {
      const asking = this.#asking.get(textOf(key, labels[key]!))
      if (asking !== undefined) found.push(...asking)
    }
    return found
  }

  add(set: PeerMembership): void {
    if (this.#all.has(set)) return
    this.#all.add(set)
    const [texts] = waysTo(set).sort((one, other) => this.#countAt(one) - this.#countAt(other))
    if (texts === undefined) this.#others.add(set)
    else for (const text of texts) this.#asking.set(text, [...(this.#asking.get(text) ?? none), set])
  }

  delete(set: PeerMembership): boolean {
    this.#others.delete(set)
    for (const text of waysTo(set).flat()) {
      const rest = this.#asking.get(text)?.filter((each) => each !== set) ?? none
      if (rest.length > 0) this.#asking.set(text, rest)
      else this.#asking.delete(text)
    }
    return this.#all.delete(set)
  }

  #countAt(texts: readonly string[]): number {
    return texts.reduce((count, text) => count + (this.#asking.get(text)?.length ?? 0), 0)
  }
}

/** For each requirement that no pod meets without one of some labels: these labels. */
function waysTo({ form }: PeerMembership): string[][] {
  return form.match.pods
    .filter(({ operator }) => operator === 'In')
    .map(({ key, values }) => [...new Set(values)].map((value) => textOf(key, value)))
}
