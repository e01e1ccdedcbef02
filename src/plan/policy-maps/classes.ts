// The classes of pods as programs know them: numbers, and what each says of each kind of peer. Pure.
import { type ClassForm } from '#/policy/form.ts'
import { type ClassRules, type Decisions, type NamedPort } from './decide.ts'
import { type PolicyEntry, type PolicyKey, verdictEntries } from './entries.ts'
import { type Kind } from './kinds.ts'

/** An address that is in no set. */
const stranger = { sets: new Set<never>(), names: [] }
const strangerKind = 0

export type ClassParts = {
  readonly key: string
  readonly form: ClassForm
  readonly rules: ClassRules
  /** What its pods call their ports, as far as its rules ask for it. */
  readonly own: readonly NamedPort[]
}

export class CompiledClass {
  readonly key: string
  readonly number: number
  /** Ids of its policies. */
  readonly policies: ReadonlySet<string>
  readonly #rules: ClassRules
  readonly #own: readonly NamedPort[]
  readonly #byDefault: Decisions
  readonly #entries = new Map<number, readonly PolicyEntry[]>()
  #count = 0
  /** Pods that have it. */
  users = 0

  constructor({ key, form, rules, own }: ClassParts, number: number) {
    this.key = key
    this.number = number
    this.policies = new Set(Object.values(form.policies).flat())
    this.#rules = rules
    this.#own = own
    this.#byDefault = rules.decide(stranger, own)
    this.#keep(strangerKind, verdictEntries(number, strangerKind, this.#byDefault))
  }

  /** Of entries. */
  get count(): number {
    return this.#count
  }

  #keep(kind: number, entries: readonly PolicyEntry[]): void {
    this.#entries.set(kind, entries)
    this.#count += entries.length
  }

  /** What is to be written for a kind of peer; nothing when it is to the class as a stranger. */
  add(kind: Kind): readonly PolicyEntry[] {
    if (!this.#rules.knows(kind)) return []
    const decisions = this.#rules.decide(kind, this.#own)
    if (isSame(decisions, this.#byDefault)) return []
    const entries = verdictEntries(this.number, kind.number, decisions)
    this.#keep(kind.number, entries)
    return entries
  }

  /** What is left over of a kind that no address is of. */
  remove(kind: Kind): readonly PolicyKey[] {
    const entries = this.#entries.get(kind.number) ?? []
    this.#entries.delete(kind.number)
    this.#count -= entries.length
    return entries
  }

  entriesOf(kind: number): readonly PolicyEntry[] {
    return this.#entries.get(kind) ?? []
  }

  /**
   * All entries; in their order they may also be removed: without what it says of strangers, the class says nothing of the kinds that are gone
   * already, and of the others each entry before those that are different from it.
   */
  get entries(): PolicyEntry[] {
    return [...this.#entries.values()].flat()
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

/** All classes that pods have. */
export class Classes {
  readonly #byKey = new Map<string, CompiledClass>()
  readonly #byNumber = new Map<number, CompiledClass>()
  readonly #limit: number
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

  /** Undefined when its entries and `others` are more than there is room for. */
  make(parts: ClassParts, kinds: Iterable<Kind>, others: number): CompiledClass | undefined {
    const made = new CompiledClass(parts, this.#lastNumber + 1)
    for (const kind of kinds) {
      made.add(kind)
      if (this.#count + others + made.count > this.#limit) return undefined
    }
    this.#lastNumber++
    this.#byKey.set(made.key, made)
    this.#byNumber.set(made.number, made)
    this.#count += made.count
    return made
  }

  /** What is to be written for kinds that are new. `isFull`: classes for which there is no room any more were retired. */
  addKinds(kinds: readonly Kind[], others: number): { readonly written: PolicyEntry[]; readonly isFull: boolean } {
    const written: PolicyEntry[] = []
    let isFull = false
    for (const each of this.#byKey.values()) {
      const before = each.count
      for (const kind of kinds) {
        written.push(...each.add(kind))
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
    for (const each of this.#byKey.values()) if (!each.policies.isDisjointFrom(policies)) this.retire(each)
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
  forget(each: CompiledClass): readonly PolicyKey[] {
    this.retire(each)
    this.#byNumber.delete(each.number)
    this.#count -= each.count
    return each.entries
  }
}
