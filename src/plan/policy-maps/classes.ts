// The classes of pods as programs know them: numbers, and what each says of each kind of peer. Pure.
import { type ClassRules, type Decisions, type Membership, type NamedPort } from './decide.ts'
import { type Cell, cellsOf, type PolicyEntry, type PolicyKey, verdictEntry } from './entries.ts'
import { type Kind } from './kinds.ts'

/** An address that is in no set. */
const stranger = { sets: new Set<never>(), names: [] }
const strangerKind = 0

export type ClassParts = {
  readonly key: string
  readonly rules: ClassRules
  /** What its pods call their ports, as far as its rules ask for it. */
  readonly own: readonly NamedPort[]
}

/** What a class says of some kinds of peers. */
type Answer = { readonly decisions: Decisions; readonly cells: readonly Cell[] }

export class CompiledClass {
  readonly key: string
  readonly number: number
  readonly rules: ClassRules
  readonly #own: readonly NamedPort[]
  readonly #toStrangers: Answer
  readonly #answers = new Map<string, Answer>()
  /** Of kinds to which it says something else than to strangers. */
  readonly #ofKinds = new Map<number, Answer>()
  #count: number
  /** Pods that have it. */
  users = 0

  constructor({ key, rules, own }: ClassParts, number: number) {
    this.key = key
    this.number = number
    this.rules = rules
    this.#own = own
    this.#toStrangers = this.#answerTo(stranger)
    this.#count = this.#toStrangers.cells.length
  }

  /** Of entries. */
  get count(): number {
    return this.#count
  }

  #answerTo(peer: Membership): Answer {
    const signature = this.rules.signatureOf(peer)
    const known = this.#answers.get(signature)
    if (known) return known
    const decisions = this.rules.decide(peer, this.#own)
    const same = [...new Set(this.#answers.values())].find((each) => isSame(each.decisions, decisions))
    const answer = same ?? { decisions, cells: cellsOf(decisions) }
    this.#answers.set(signature, answer)
    return answer
  }

  /** Takes note of a kind of peer; whether there is anything to be written for it. */
  add(kind: Kind): boolean {
    const answer = this.#answerTo(kind)
    if (answer === this.#toStrangers) return false
    this.#ofKinds.set(kind.number, answer)
    this.#count += answer.cells.length
    return true
  }

  /** Forgets a kind that no address is of; what is left over of it. */
  remove({ number }: Kind): PolicyKey[] {
    const left = this.entriesOf(number)
    if (this.#ofKinds.delete(number)) this.#count -= left.length
    return left
  }

  entriesOf(kind: number): PolicyEntry[] {
    const answer = kind === strangerKind ? this.#toStrangers : this.#ofKinds.get(kind)
    return answer?.cells.map((cell) => verdictEntry(this.number, kind, cell)) ?? []
  }

  /**
   * All entries; in their order they may also be removed: without what it says of strangers, the class says nothing of the kinds that are gone
   * already, and of the others each entry before those that are different from it.
   */
  *entries(): Generator<PolicyEntry> {
    yield* this.entriesOf(strangerKind)
    for (const kind of this.#ofKinds.keys()) yield* this.entriesOf(kind)
  }
}

function isSame(a: Decisions, b: Decisions): boolean {
  const areSame = (protocol: 'TCP' | 'UDP'): boolean =>
    a[protocol].length === b[protocol].length &&
    a[protocol].every(({ first, value }, index) => {
      const other = b[protocol][index]!
      return first === other.first && value === other.value
    })
  return a.other === b.other && areSame('TCP') && areSame('UDP')
}

/** A class, and the number of a kind that it has something to say to. */
export type WrittenKind = readonly [CompiledClass, number]

/** All classes that pods have. */
export class Classes {
  readonly #byKey = new Map<string, CompiledClass>()
  readonly #byNumber = new Map<number, CompiledClass>()
  readonly #limit: number
  /** By rules that there was no room for: how many entries they need at least. */
  readonly #tooLarge = new WeakMap<ClassRules, number>()
  #lastNumber = 0
  #count = 0

  /** `limit`: of entries in all. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Those that pods may get. */
  get all(): Iterable<CompiledClass> {
    return this.#byKey.values()
  }

  byNumber(number: number): CompiledClass | undefined {
    return this.#byNumber.get(number)
  }

  find(key: string): CompiledClass | undefined {
    return this.#byKey.get(key)
  }

  /** `kinds`: all that its rules ask for. Undefined when its entries and `others` are more than there is room for. */
  make(parts: ClassParts, kinds: Iterable<Kind>, others: number): CompiledClass | undefined {
    if (this.#count + others + (this.#tooLarge.get(parts.rules) ?? 0) > this.#limit) return undefined
    const made = new CompiledClass(parts, this.#lastNumber + 1)
    const isTooLarge = (): boolean => this.#count + others + made.count > this.#limit
    for (const kind of kinds) {
      if (isTooLarge()) break
      made.add(kind)
    }
    if (isTooLarge()) {
      this.#tooLarge.set(parts.rules, made.count)
      return undefined
    }
    this.#lastNumber++
    this.#byKey.set(made.key, made)
    this.#byNumber.set(made.number, made)
    this.#count += made.count
    return made
  }

  /** Tells all classes of kinds that are new; those that have something to say to them. `isFull`: some were retired, since there is no room. */
  addKinds(kinds: readonly Kind[], others: number): { readonly written: WrittenKind[]; readonly isFull: boolean } {
    const written: WrittenKind[] = []
    let isFull = false
    for (const each of this.#byKey.values()) {
      const before = each.count
      for (const kind of kinds) {
        if (each.add(kind)) written.push([each, kind.number])
        if (this.#count + others + each.count - before <= this.#limit) continue
        isFull = true
        this.retire(each)
        break
      }
      this.#count += each.count - before
    }
    return { written, isFull }
  }

  /** What is left over of kinds that no address is of any more. */
  removeKinds(kinds: readonly Kind[]): PolicyKey[] {
    const left = [...this.#byNumber.values()].flatMap((each) => kinds.flatMap((kind) => each.remove(kind)))
    this.#count -= left.length
    return left
  }

  /** Those with one of the policies are to be made anew. */
  retireThoseWith(policies: ReadonlySet<string>): void {
    for (const each of this.#byKey.values()) if (!each.rules.policies.isDisjointFrom(policies)) this.retire(each)
  }

  /** Those that no pod has. */
  unused(): CompiledClass[] {
    return [...this.#byNumber.values()].filter(({ users }) => users === 0)
  }

  /** Pods get it no more; those that have it keep it. */
  retire(each: CompiledClass): void {
    if (this.#byKey.get(each.key) === each) this.#byKey.delete(each.key)
  }

  /** After the last pod that had it. */
  forget(each: CompiledClass): void {
    this.retire(each)
    this.#byNumber.delete(each.number)
    this.#count -= each.count
  }
}
