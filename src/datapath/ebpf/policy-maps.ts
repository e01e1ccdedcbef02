// Keeps the maps by which programs drop early what policies deny. An entry that is missing or wrong must never cost a packet that the rules let
// through: so while the maps are not known to be right, no pod has a class, and the stack's rules are alone.
import { setTimeout as sleep } from 'node:timers/promises'
import { BpfMap } from '#/kernel/bpf/map.ts'
import { equalBytes } from '#/lib/bytes.ts'
import { messageOf } from '#/lib/log.ts'
import {
  notPoliced,
  policedValue,
  type PolicedClasses,
  type PolicyKey,
  type PolicyMapName,
  policyMapNames,
} from '#/plan/policy-maps/entries.ts'
import { type Limits, type MapChange, PolicyPlan } from '#/plan/policy-maps/plan.ts'
import { type Form, type FormChange } from '#/policy/form.ts'
import { type PolicySink } from '#/reconcile/policy/policy-sink.ts'
import { type Failure, type ObjectStatus, StatusTable } from '#/reconcile/status.ts'
import { indexStruct, peersMax, verdictsMax } from '#/wire/bpf/maps.ts'
import { DeniedPackets, type DeniedPacket } from './denied-packets.ts'
import { hexOf } from './entries.ts'
import { type Generation } from './generation.ts'
import { setPoliced } from './pod-plug.ts'
import { removeEntries, writeEntries } from './policy-writes.ts'
import { type EbpfState } from './state.ts'
import { Turns } from './turns.ts'

/**
 * After this long no program goes on with what it looked up before. A program takes microseconds; but a virtual processor may be taken away from
 * it in the middle, or a task of higher priority, on a kernel with PREEMPT_RT.
 */
const graceMs = 20

export type PolicyMapsDeps = {
  readonly ebpf: EbpfState
  /** Called with some of the packets that programs deny. */
  readonly onDenied?: (denied: DeniedPacket) => void
  readonly limits?: Limits
  readonly nowMs?: () => number
}

export class PolicyMaps implements PolicySink, Disposable {
  readonly #state: EbpfState
  readonly #limits: Limits | undefined
  readonly #onDenied: ((denied: DeniedPacket) => void) | undefined
  readonly #nowMs: () => number
  readonly #status = new StatusTable()
  #plan: PolicyPlan | undefined
  /** Changes that come while a plan is made. */
  #queued: (readonly [Form, FormChange])[] | undefined
  /** The programs whose maps hold what the plan says. */
  #level: Generation | undefined
  /** Those whose maps are being filled: each change is written there too. */
  #filled: Generation | undefined
  /** Keys of changes that come before the maps are filled, while they are read. */
  #unwritten: PolicyKey[] = []
  /** Changes that could not be written. */
  #failures = 0
  #comparing: Promise<readonly string[]> | undefined
  #denied: { readonly generation: Generation; readonly packets: DeniedPackets } | undefined

  constructor({ ebpf, onDenied, limits, nowMs = Date.now }: PolicyMapsDeps) {
    this.#state = ebpf
    this.#limits = limits
    this.#onDenied = onDenied
    this.#nowMs = nowMs
    ebpf.policedOf = (hostDevice) => this.#policedOf(hostDevice)
  }

  get objects(): readonly ObjectStatus[] {
    return this.#status.list()
  }

  existsInKernel(): boolean {
    return false
  }

  #policedOf(hostDevice: string): PolicedClasses {
    const isLevel = this.#level !== undefined && this.#level === this.#state.current
    return (isLevel && this.#plan?.policedOf(hostDevice)) || notPoliced
  }

  /** Makes a change at once. A failure costs speed alone: it is told as the object's, and no pod has a class until a comparison has mended it. */
  apply(form: Form, change: FormChange): void {
    const generation = this.#state.current
    if (generation === undefined) return this.#forget()
    this.#queued?.push([form, change])
    const plan = this.#plan
    if (plan === undefined) return
    try {
      const { suspended, written, removed, policed, leftovers } = this.#change(plan, form, change)
      if (this.#level !== generation && this.#filled !== generation) {
        if (this.#comparing) for (const keys of [written, removed, leftovers]) this.#unwritten.push(...keys)
        return
      }
      if (plan.isFull) throw new Error(fullText)
      for (const hostDevice of suspended) this.#police(generation, hostDevice, notPoliced)
      writeEntries(generation, written)
      removeEntries(generation, removed)
      if (this.#level === generation)
        for (const [hostDevice, classes] of policed) this.#police(generation, hostDevice, classes)
      removeEntries(generation, leftovers)
      this.#tell(this.#leftOut())
    } catch (error) {
      this.#failures++
      this.#suspend(generation)
      this.#tell({ message: messageOf(error) })
    }
  }

  /** What the change makes in the maps. A plan that failed is half changed, and is made anew by the next comparison. */
  #change(plan: PolicyPlan, form: Form, change: FormChange): MapChange {
    try {
      return plan.apply(form, change)
    } catch (error) {
      this.#plan = undefined
      throw error
    }
  }

  noteMissed(): void {
    this.#plan = undefined
    const generation = this.#state.current
    const isInUse = generation !== undefined && (this.#level === generation || this.#filled === generation)
    // a plan that is made anew has other numbers of classes
    if (isInUse) this.#suspend(generation)
  }

  /** Reads the maps and puts right what differs: that, a line for each map. Nothing without programs. */
  compare(form: Form): Promise<readonly string[]> {
    this.#comparing ??= this.#compare(form).finally(() => {
      this.#comparing = undefined
    })
    return this.#comparing
  }

  /** Takes out what is denied of one pod. */
  dropLocal(hostDevice: string): void {
    const generation = this.#state.current
    if (generation !== undefined) this.#police(generation, hostDevice, notPoliced)
  }

  #forget(): void {
    this.#plan = undefined
    this.#queued = undefined
    this.#level = undefined
    this.#filled = undefined
    this.#hear(undefined)
    this.#status.forget('policy-map', 'cw_verdicts')
  }

  /** Listens to what the programs of a generation deny. */
  #hear(generation: Generation | undefined): void {
    if (this.#onDenied === undefined || this.#denied?.generation === generation) return
    this.#denied?.packets[Symbol.dispose]()
    this.#denied = generation && { generation, packets: new DeniedPackets(generation, this.#onDenied) }
  }

  [Symbol.dispose](): void {
    this.#hear(undefined)
  }

  #tell(failure: Failure | undefined): void {
    this.#status.set('policy-map', 'cw_verdicts', failure ? 'error' : 'done', this.#nowMs(), failure)
  }

  #leftOut(): Failure | undefined {
    const pods = this.#plan?.leftOut ?? 0
    if (pods === 0) return undefined
    return {
      message: `the policies of ${pods} ${pods === 1 ? 'pod' : 'pods'} need more entries than there is room for (${verdictsMax}): the stack alone denies what they deny`,
    }
  }

  #police(generation: Generation, hostDevice: string, classes: PolicedClasses): void {
    const slot = this.#slotOf(hostDevice)
    if (slot !== undefined) setPoliced(generation, slot, classes)
  }

  #slotOf(hostDevice: string): number | undefined {
    const plugged = this.#state.plugged.get(hostDevice)
    return plugged && this.#state.slots.slotOf(plugged.index)
  }

  /** From now on nothing is denied of any pod. */
  #suspend(generation: Generation): void {
    this.#level = undefined
    this.#filled = undefined
    const [policed, none] = [generation.map('cw_policed'), policedValue(notPoliced)]
    for (const [key, value] of policed.entries()) if (!equalBytes(value, none)) policed.set(key, none)
  }

  async #compare(form: Form): Promise<readonly string[]> {
    const generation = this.#state.current
    if (generation === undefined) {
      this.#forget()
      return []
    }
    this.#hear(generation)
    try {
      const plan = await this.#planOf(form)
      return plan && this.#state.current === generation ? await this.#mend(generation, plan) : []
    } catch (error) {
      // of programs that are gone by now nothing is to be told
      if (this.#state.current !== generation) return []
      this.#suspend(generation)
      this.#tell({ message: messageOf(error) })
      return []
    }
  }

  /** Makes the plan in turns of the event loop; undefined when the programs went meanwhile, so that changes were not heard of. */
  async #planOf(form: Form): Promise<PolicyPlan | undefined> {
    if (this.#plan) return this.#plan
    const plan = new PolicyPlan(this.#limits)
    const queued: (readonly [Form, FormChange])[] = []
    this.#queued = queued
    const turns = new Turns()
    for (const _ of plan.build(form)) {
      if (turns.isOver) await turns.next()
      if (this.#queued !== queued) return undefined
    }
    for (const [ofForm, change] of queued) plan.apply(ofForm, change)
    this.#queued = undefined
    this.#plan = plan
    return plan
  }

  async #mend(generation: Generation, plan: PolicyPlan): Promise<readonly string[]> {
    const failures = this.#failures
    // a change that could not be written may be of what has been read already
    const isOver = (): boolean =>
      this.#state.current !== generation || this.#plan !== plan || this.#failures !== failures
    const turns = new Turns()
    this.#unwritten = []
    const read = await doubtfulKeys(generation, plan, turns)
    const retired = plan.takeRetired()
    const doubtful = await without(read, retired, turns)
    let isAnew = this.#level !== generation
    const wrong: PolicyKey[] = isAnew ? doubtful : []
    // what has changed while all was read is right by now
    for (const key of isAnew ? [] : doubtful) {
      if (turns.isOver) await turns.next()
      if (isOver()) return []
      if (!isWrong(generation, plan, key)) continue
      wrong.push(key)
      isAnew ||= plan.isFound(key)
    }
    if (isOver()) return []
    if (plan.isFull) throw new Error(fullText)
    if (isAnew) {
      this.#suspend(generation)
      this.#filled = generation
      await sleep(graceMs)
    } else if (retired.length > 0) await sleep(graceMs)
    const isBroken = (): boolean => isOver() || (isAnew ? this.#filled : this.#level) !== generation
    const counts = new Map<PolicyMapName, number>()
    for (const [index, { map, key }] of [...wrong, ...this.#unwritten.splice(0), ...retired].entries()) {
      if (turns.isOver) await turns.next()
      if (isBroken()) return []
      const value = plan.valueOf({ map, key })
      if (value === undefined) generation.map(map).delete(key)
      else generation.map(map).set(key, value)
      if (index < wrong.length) counts.set(map, (counts.get(map) ?? 0) + 1)
    }
    if (isBroken()) return []
    this.#filled = undefined
    this.#level = generation
    const mended = this.#policeAll(generation)
    this.#tell(this.#leftOut())
    return [
      ...linesOf(counts),
      ...(mended > 0 ? [`cw_policed: classes of ${mended} ${mended === 1 ? 'pod' : 'pods'}`] : []),
    ]
  }

  /** Gives each pod its classes; how many had others. */
  #policeAll(generation: Generation): number {
    const wanted = new Map<number, Uint8Array>()
    for (const hostDevice of this.#state.plugged.keys()) {
      const slot = this.#slotOf(hostDevice)
      if (slot !== undefined) wanted.set(slot, policedValue(this.#policedOf(hostDevice)))
    }
    const [policed, none] = [generation.map('cw_policed'), policedValue(notPoliced)]
    let count = 0
    for (const [key, value] of policed.entries()) {
      const due = wanted.get(indexStruct.decode(key).index) ?? none
      if (equalBytes(value, due)) continue
      policed.set(key, due)
      count++
    }
    return count
  }
}

const fullText = `policies name more peers than there is room for (${peersMax} prefixes of each family): the stack alone denies what they deny`

/** Whether the kernel has something else at this moment than the plan wants. */
function isWrong(generation: Generation, plan: PolicyPlan, { map, key }: PolicyKey): boolean {
  const [wanted, found] = [plan.valueOf({ map, key }), generation.map(map).get(key)]
  return wanted === undefined || found === undefined ? wanted !== found : !equalBytes(wanted, found)
}

/** The keys at which kernel and plan seem to differ, in the order in which they are to be put right. Both may change meanwhile. */
async function doubtfulKeys(generation: Generation, plan: PolicyPlan, turns: Turns): Promise<PolicyKey[]> {
  const [wanted, strays]: [PolicyKey[], PolicyKey[]] = [[], []]
  for (const map of policyMapNames) {
    const found = await valuesByKey(generation, map)
    for (const entry of plan.entries(map)) {
      if (turns.isOver) await turns.next()
      const text = hexOf(entry.key)
      const present = found.get(text)
      found.delete(text)
      if (present === undefined || !equalBytes(present, entry.value)) wanted.push(entry)
    }
    for (const text of found.keys()) {
      if (turns.isOver) await turns.next()
      strays.push({ map, key: Uint8Array.fromHex(text) })
    }
  }
  return [...wanted, ...strays]
}

async function valuesByKey(generation: Generation, map: PolicyMapName): Promise<Map<string, Uint8Array>> {
  // a descriptor of its own: the generation's may be closed meanwhile
  using own = BpfMap.byId(generation.map(map).info.id)
  const found = new Map<string, Uint8Array>()
  for await (const batch of own.entriesInTurns()) for (const [key, value] of batch) found.set(hexOf(key), value)
  return found
}

async function without(keys: readonly PolicyKey[], others: readonly PolicyKey[], turns: Turns): Promise<PolicyKey[]> {
  if (others.length === 0) return [...keys]
  const textOf = ({ map, key }: PolicyKey): string => `${map} ${hexOf(key)}`
  const texts = new Set<string>()
  for (const other of others) {
    if (turns.isOver) await turns.next()
    texts.add(textOf(other))
  }
  const kept: PolicyKey[] = []
  for (const key of keys) {
    if (turns.isOver) await turns.next()
    if (!texts.has(textOf(key))) kept.push(key)
  }
  return kept
}

function linesOf(counts: ReadonlyMap<PolicyMapName, number>): string[] {
  return policyMapNames.flatMap((map) => {
    const count = counts.get(map) ?? 0
    return count === 0 ? [] : [`${map}: ${count} ${count === 1 ? 'entry' : 'entries'}`]
  })
}
