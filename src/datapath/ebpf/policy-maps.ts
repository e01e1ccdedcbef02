// Keeps the maps by which programs drop early what policies deny. An entry that is missing or wrong must never cost a packet that the rules let
// through: so while the maps are not known to be right, no pod has a class, and the stack's rules are alone.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
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
import { type Limits, PolicyPlan } from '#/plan/policy-maps/plan.ts'
import { type Form, type FormChange } from '#/policy/form.ts'
import { type PolicySink } from '#/reconcile/policy/policy-sink.ts'
import { type Failure, type ObjectStatus, StatusTable } from '#/reconcile/status.ts'
import { indexStruct, maxSlots, peersMax, verdictsMax } from '#/wire/bpf/maps.ts'
import { DeniedPackets, type DeniedPacket } from './denied-packets.ts'
import { hexOf } from './entries.ts'
import { type Generation } from './generation.ts'
import { setPoliced } from './pod-plug.ts'
import { type EbpfState } from './state.ts'

/** Entries that are compared or written in one turn of the event loop. */
const entriesPerTurn = 512
/** After this long no program goes on with what it looked up before. */
const graceMs = 1

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
    if (this.#plan === undefined) return
    const { suspended, written, removed, policed, leftovers } = this.#plan.apply(form, change)
    if (this.#level !== generation && this.#filled !== generation) return
    try {
      if (this.#plan.isFull) throw new Error(fullText)
      for (const hostDevice of suspended) this.#police(generation, hostDevice, notPoliced)
      for (const { map, key, value } of written) generation.map(map).set(key, value)
      for (const { map, key } of removed) generation.map(map).delete(key)
      if (this.#level === generation)
        for (const [hostDevice, classes] of policed) this.#police(generation, hostDevice, classes)
      for (const { map, key } of leftovers) generation.map(map).delete(key)
      this.#tell(this.#leftOut())
    } catch (error) {
      this.#suspend(generation)
      this.#tell({ message: messageOf(error) })
    }
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
      message: `the policies of ${pods} ${pods === 1 ? 'pod' : 'pods'} need more entries than there is room for (${verdictsMax.toLocaleString('en')}): the stack alone denies what they deny`,
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
    for (let slot = 0; slot < maxSlots; slot++) setPoliced(generation, slot, notPoliced)
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
    for (const _ of plan.build(form)) {
      await nextTurn()
      if (this.#queued !== queued) return undefined
    }
    for (const [ofForm, change] of queued) plan.apply(ofForm, change)
    this.#queued = undefined
    this.#plan = plan
    return plan
  }

  async #mend(generation: Generation, plan: PolicyPlan): Promise<readonly string[]> {
    const isOver = (): boolean => this.#state.current !== generation || this.#plan !== plan
    const read = await doubtfulKeys(generation, plan)
    const retired = plan.takeRetired()
    const doubtful = without(read, retired)
    // what has changed while all was read is right by now
    const wrong: PolicyKey[] = this.#level === generation ? [] : doubtful
    for (const [index, key] of this.#level === generation ? doubtful.entries() : []) {
      if (index % entriesPerTurn === entriesPerTurn - 1) await nextTurn()
      if (isOver()) return []
      if (isWrong(generation, plan, key)) wrong.push(key)
    }
    if (isOver()) return []
    if (plan.isFull) throw new Error(fullText)
    const isAnew = this.#level !== generation || wrong.some((key) => plan.isFound(key))
    if (isAnew) {
      this.#suspend(generation)
      this.#filled = generation
      await sleep(graceMs)
    } else if (retired.length > 0) await sleep(graceMs)
    const isBroken = (): boolean => isOver() || (isAnew ? this.#filled : this.#level) !== generation
    for (const [index, { map, key }] of [...wrong, ...retired].entries()) {
      if (index % entriesPerTurn === entriesPerTurn - 1) await nextTurn()
      if (isBroken()) return []
      const value = plan.valueOf({ map, key })
      if (value === undefined) generation.map(map).delete(key)
      else generation.map(map).set(key, value)
    }
    if (isBroken()) return []
    this.#filled = undefined
    this.#level = generation
    const mended = this.#policeAll(generation)
    this.#tell(this.#leftOut())
    return [
      ...linesOf(wrong),
      ...(mended > 0 ? [`cw_policed: classes of ${mended} ${mended === 1 ? 'pod' : 'pods'}`] : []),
    ]
  }

  /** Gives each pod its classes; how many had others. */
  #policeAll(generation: Generation): number {
    const wanted = new Map<number, PolicedClasses>()
    for (const hostDevice of this.#state.plugged.keys()) {
      const slot = this.#slotOf(hostDevice)
      if (slot !== undefined) wanted.set(slot, this.#policedOf(hostDevice))
    }
    let count = 0
    for (const [key, value] of generation.map('cw_policed').entries()) {
      const slot = indexStruct.decode(key).index
      const classes = wanted.get(slot) ?? notPoliced
      if (equalBytes(value, policedValue(classes))) continue
      setPoliced(generation, slot, classes)
      count++
    }
    return count
  }
}

const fullText = `policies name more peers than there is room for (${peersMax.toLocaleString('en')} prefixes of each family): the stack alone denies what they deny`

/** Whether the kernel has something else at this moment than the plan wants. */
function isWrong(generation: Generation, plan: PolicyPlan, { map, key }: PolicyKey): boolean {
  const [wanted, found] = [plan.valueOf({ map, key }), generation.map(map).get(key)]
  return wanted === undefined || found === undefined ? wanted !== found : !equalBytes(wanted, found)
}

/** The keys at which kernel and plan seem to differ, in the order in which they are to be put right. Both may change meanwhile. */
async function doubtfulKeys(generation: Generation, plan: PolicyPlan): Promise<PolicyKey[]> {
  const [wanted, strays]: [PolicyKey[], PolicyKey[]] = [[], []]
  for (const map of policyMapNames) {
    const found = await valuesByKey(generation, map)
    let count = 0
    for (const entry of plan.entries(map)) {
      if (++count % entriesPerTurn === 0) await nextTurn()
      const text = hexOf(entry.key)
      const present = found.get(text)
      found.delete(text)
      if (present === undefined || !equalBytes(present, entry.value)) wanted.push(entry)
    }
    for (const text of found.keys()) strays.push({ map, key: Uint8Array.fromHex(text) })
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

function without(keys: readonly PolicyKey[], others: readonly PolicyKey[]): PolicyKey[] {
  const texts = new Set(others.map(({ map, key }) => `${map} ${hexOf(key)}`))
  return keys.filter(({ map, key }) => !texts.has(`${map} ${hexOf(key)}`))
}

function linesOf(keys: readonly PolicyKey[]): string[] {
  return policyMapNames.flatMap((map) => {
    const count = keys.filter((each) => each.map === map).length
    return count === 0 ? [] : [`${map}: ${count} ${count === 1 ? 'entry' : 'entries'}`]
  })
}
