// What the programs' maps have to hold of the form of policies, kept up to date change by change. Pure.
//
// The programs may look up at any moment, so nothing is written over that they may be reading for another meaning: a class whose rules change
// becomes another number, and so does a kind of peer. What a number means never changes while a program can find it.
import { equalBytes } from '#/lib/bytes.ts'
import {
  type ClassForm,
  type ClassId,
  type Form,
  type FormChange,
  type LocalPodForm,
  type NamedPortSetId,
  type PeerSet,
  type PeerSetId,
} from '#/policy/form.ts'
import { type Direction, directions } from '#/policy/policy.ts'
import { peersMax, verdictKeyStruct, verdictsMax } from '#/wire/bpf/maps.ts'
import { Classes, type CompiledClass, type WrittenKind } from './classes.ts'
import { ClassRules, type NamedPort, nameText } from './decide.ts'
import {
  mapOf,
  notPoliced,
  peerEntry,
  peerKey,
  type PolicedClasses,
  type PolicyEntry,
  type PolicyKey,
  type PolicyMapName,
  prefixOf,
} from './entries.ts'
import { type KindChanges, Kinds } from './kinds.ts'

/** To be done in this order, and before the next change is asked for. */
export type MapChange = {
  /** Host devices of pods that get other classes: nothing of them is denied meanwhile. */
  readonly suspended: readonly string[]
  readonly written: Iterable<PolicyEntry>
  readonly removed: readonly PolicyKey[]
  /** By host device. */
  readonly policed: ReadonlyMap<string, PolicedClasses>
  /** Which no program finds any more. */
  readonly leftovers: Iterable<PolicyKey>
}

export type Limits = { readonly peers: number; readonly verdicts: number }

type Pair = Readonly<Record<Direction, CompiledClass | undefined>>
const noPair: Pair = { egress: undefined, ingress: undefined }

/** So many entries of retired kinds may be left over until they are removed. A program that has just looked one up has done with it by then. */
const mostRetired = 4096

export class PolicyPlan {
  readonly #limits: Limits
  readonly #sets = new Map<PeerSetId, PeerSet>()
  readonly #names = new Set<NamedPortSetId>()
  readonly #kinds = new Kinds()
  readonly #classes: Classes
  /** Of classes of the form that pods have. */
  readonly #rules = new Map<ClassId, ClassRules>()
  readonly #locals = new Map<string, LocalPodForm>()
  /** By host device. */
  readonly #pairs = new Map<string, Pair>()
  #retired: PolicyKey[] = []
  /** Host devices of pods whose classes need more room than there is. */
  readonly #leftOut = new Set<string>()

  constructor(limits: Limits = { peers: peersMax, verdicts: verdictsMax }) {
    this.#limits = limits
    this.#classes = new Classes(limits.verdicts)
  }

  /** Of how many pods nothing is denied, since there is no room for what their policies say. */
  get leftOut(): number {
    return this.isFull ? this.#locals.size : this.#leftOut.size
  }

  /** Whether there are more prefixes of peers than there is room for: then nothing of the maps may be believed. */
  get isFull(): boolean {
    return this.#kinds.size > this.#limits.peers
  }

  policedOf(hostDevice: string): PolicedClasses {
    const pair = this.#pairs.get(hostDevice)
    if (pair === undefined || this.isFull) return notPoliced
    return { egress: pair.egress?.number ?? 0, ingress: pair.ingress?.number ?? 0 }
  }

  /** All entries of a map, but for those that are left over. */
  *entries(map: PolicyMapName): Generator<PolicyEntry> {
    if (map === 'cw_verdicts') for (const each of this.#classes.all) yield* each.entries()
    else
      for (const [prefix, { number }] of this.#kinds.entries())
        if (mapOf(prefix) === map) yield peerEntry(prefix, number)
  }

  /** What an entry has to be now; undefined: there is to be none. */
  valueOf({ map, key }: PolicyKey): Uint8Array | undefined {
    if (map === 'cw_verdicts') {
      const { class: number, kind } = verdictKeyStruct.decode(key)
      const entries = this.#classes.byNumber(number)?.entriesOf(kind) ?? []
      return entries.find((entry) => equalBytes(entry.key, key))?.value
    }
    const prefix = prefixOf({ map, key })
    const kind = this.#kinds.kindOf(prefix)
    return kind && peerEntry(prefix, kind.number).value
  }

  /** The keys of entries that are left over of kinds that no address is of any more; the plan knows of them no more then. */
  takeRetired(): PolicyKey[] {
    return this.#retired.splice(0)
  }

  /** Whether programs may find an entry with the key, so that it counts what it says. */
  isFound({ map, key }: PolicyKey): boolean {
    if (map !== 'cw_verdicts') return true
    const { class: number, kind } = verdictKeyStruct.decode(key)
    return this.#classes.byNumber(number) !== undefined && (kind === 0 || this.#kinds.hasNumber(kind))
  }

  /**
   * Takes in a whole form, a portion at each step, in place of a first change. The form may change meanwhile: each change of it is to be
   * applied after the last step, in order.
   */
  *build(form: Form): Generator<void> {
    // blocks first: with each of them all addresses are looked at again
    for (const set of form.peerSets.values()) {
      this.#sets.set(set.id, set)
      if (set.kind === 'blocks') this.#kinds.addSet(set, [])
    }
    yield
    let count = 0
    for (const { id, kind } of form.peerSets.values()) {
      for (const addr of kind === 'pods' ? form.membersOf(id).values() : []) {
        this.#kinds.addMember(id, addr)
        if (++count % membersPerStep === 0) yield this.#settle()
      }
    }
    for (const id of form.namedPortSets.keys()) {
      this.#names.add(id)
      for (const member of form.namedPortsOf(id)) {
        this.#kinds.addName(id, member)
        if (++count % membersPerStep === 0) yield this.#settle()
      }
    }
    yield this.#settle()
    for (const local of form.locals.values()) {
      this.#locals.set(local.hostDevice, local)
      this.#changePairs(form, [local.hostDevice])
      yield
    }
  }

  #settle(): void {
    this.#kinds.settle()
  }

  /** The change of the maps that a change of the form makes. */
  apply(form: Form, change: FormChange): MapChange {
    this.#changeSets(form, change)
    this.#changeNames(form, change)
    for (const [hostDevice, local] of change.locals) {
      if (local) this.#locals.set(hostDevice, local)
      else this.#locals.delete(hostDevice)
    }
    const late = this.#retired.length > mostRetired ? this.takeRetired() : []
    const { written: peers, removed, born, retired } = this.#kinds.settle()
    this.#forgetRules(change)
    const { written: ofKinds, isFull } = this.#classes.addKinds(born, this.#retired.length)
    const { changed, made } = this.#changePairs(form, this.#dueOf(change, isFull))
    this.#retired.push(...this.#classes.removeKinds(retired))
    const unused = this.#classes.unused()
    for (const each of unused) this.#classes.forget(each)
    return {
      suspended: changed,
      written: writtenOf(ofKinds, made, peers),
      removed: removed.map(peerKey),
      policed: new Map(changed.map((hostDevice) => [hostDevice, this.policedOf(hostDevice)])),
      leftovers: leftoversOf(late, unused),
    }
  }

  #forgetRules({ policies, classes }: FormChange): void {
    const changed = new Set(policies.keys())
    this.#classes.retireThoseWith(changed)
    for (const [id, rules] of this.#rules)
      if (classes.has(id) || !rules.policies.isDisjointFrom(changed)) this.#rules.delete(id)
  }

  #rulesOf(form: Form, classForm: ClassForm): ClassRules {
    const known = this.#rules.get(classForm.id)
    if (known) return known
    const rules = new ClassRules(form, classForm)
    this.#rules.set(classForm.id, rules)
    return rules
  }

  #changeSets(form: Form, { peerSets, members }: FormChange): void {
    const gone = [...peerSets.keys()].flatMap((id) => this.#sets.get(id) ?? [])
    for (const set of gone) {
      this.#sets.delete(set.id)
      if (set.kind === 'blocks') this.#kinds.removeBlocks(set.id, set.prefixes)
    }
    this.#kinds.removeSets(new Set(gone.map(({ id }) => id)), new Set())
    for (const [id, set] of peerSets) {
      if (set === undefined) continue
      this.#sets.set(id, set)
      this.#kinds.addSet(set, set.kind === 'pods' ? form.membersOf(id).values() : [])
    }
    for (const [id, { added, removed }] of members) {
      for (const addr of removed) this.#kinds.removeMember(id, addr)
      for (const addr of added) this.#kinds.addMember(id, addr)
    }
  }

  #changeNames(form: Form, { namedPortSets, namedPorts }: FormChange): void {
    const gone = [...namedPortSets.keys()].filter((id) => this.#names.delete(id))
    this.#kinds.removeSets(new Set(), new Set(gone))
    for (const [id, set] of namedPortSets) {
      if (set === undefined) continue
      this.#names.add(id)
      for (const member of form.namedPortsOf(id)) this.#kinds.addName(id, member)
    }
    for (const [id, { added, removed }] of namedPorts) {
      for (const member of removed) this.#kinds.removeName(id, member)
      for (const member of added) this.#kinds.addName(id, member)
    }
  }

  /** The host devices whose pods may get other classes. Only a change of rules, or of what pods call their ports, concerns others than its own. */
  #dueOf({ locals, policies, classes, namedPorts, namedPortSets }: FormChange, isFull: boolean): Iterable<string> {
    const isForAll = [policies, classes, namedPorts, namedPortSets].some(({ size }) => size > 0)
    return isForAll || isFull ? new Set([...this.#locals.keys(), ...locals.keys()]) : locals.keys()
  }

  /** Gives pods their classes; those that get others than they had, and the entries of classes that are new. */
  #changePairs(form: Form, due: Iterable<string>): { readonly changed: string[]; readonly made: CompiledClass[] } {
    const changed: string[] = []
    const made: CompiledClass[] = []
    for (const hostDevice of due) {
      const local = this.#locals.get(hostDevice)
      const before = this.#pairs.get(hostDevice) ?? noPair
      this.#leftOut.delete(hostDevice)
      const after = local ? this.#pairOf(form, local, made) : noPair
      if (before.egress === after.egress && before.ingress === after.ingress) continue
      changed.push(hostDevice)
      for (const direction of directions) {
        if (before[direction]) before[direction].users--
        if (after[direction]) after[direction].users++
      }
      if (local) this.#pairs.set(hostDevice, after)
      else this.#pairs.delete(hostDevice)
    }
    return { changed, made }
  }

  #pairOf(form: Form, local: LocalPodForm, made: CompiledClass[]): Pair {
    const find = (direction: Direction): CompiledClass | undefined => {
      const id = local[direction]
      const classForm = id === undefined ? undefined : form.classes.get(id)
      // what is let through in any case has nothing to be saved: the stack counts and tells it
      if (classForm === undefined || classForm.isAudited) return undefined
      const rules = this.#rulesOf(form, classForm)
      const own = direction === 'ingress' ? this.#ownNames(local, rules) : []
      if (own === undefined) return undefined
      const key = [classForm.id, ...own.map(nameText)].join(' ')
      const known = this.#classes.find(key)
      if (known) return known
      const compiled = this.#classes.make({ key, rules, own }, this.#kinds.inAnyOf(rules.asked), this.#retired.length)
      if (compiled) made.push(compiled)
      else this.#leftOut.add(local.hostDevice)
      return compiled
    }
    return { egress: find('egress'), ingress: find('ingress') }
  }

  /** What the pod calls its ports, as far as the rules ask for it; undefined while that is not the same at all of its addresses. */
  #ownNames({ addrs }: LocalPodForm, rules: ClassRules): NamedPort[] | undefined {
    if (rules.names.size === 0) return []
    const [first = [], ...others] = addrs.map((addr) =>
      this.#kinds
        .namesOf(addr)
        .filter(({ set }) => rules.names.has(set))
        .toSorted((a, b) => (nameText(a) < nameText(b) ? -1 : 1)),
    )
    const areSame = others.every((each) => each.map(nameText).join() === first.map(nameText).join())
    return areSame ? first : undefined
  }
}

/** Of sets, in one step of a build. */
const membersPerStep = 250

function* writtenOf(
  ofKinds: readonly WrittenKind[],
  made: readonly CompiledClass[],
  peers: KindChanges['written'],
): Generator<PolicyEntry> {
  for (const [each, kind] of ofKinds) yield* each.entriesOf(kind)
  for (const each of made) yield* each.entries()
  for (const [prefix, { number }] of peers) yield peerEntry(prefix, number)
}

function* leftoversOf(late: readonly PolicyKey[], unused: readonly CompiledClass[]): Generator<PolicyKey> {
  yield* late
  for (const each of unused) yield* each.entries()
}
