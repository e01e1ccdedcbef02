// Keeps network policies in the kernel's nftables: a table that says which connections pods may open, and one that leads packets between the
// pods of this node there.
import { type Addr, families } from '#/lib/addr.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { inTurns } from '#/kernel/turns.ts'
import { type Logger } from '#/lib/log.ts'
import { put } from '#/lib/put.ts'
import { policyTableName } from '#/model/names.ts'
import { bridgeDelta } from '#/plan/policy/bridge-delta.ts'
import {
  bridgeTable,
  bridgeTableName,
  policedShape,
  type Ports,
  sourceKeys,
  sourceShape,
} from '#/plan/policy/bridge-table.ts'
import { bridgedTrial } from '#/plan/policy/bridged.ts'
import { countersOf, type PolicyCounters } from '#/plan/policy/counters.ts'
import { policyDelta } from '#/plan/policy/delta.ts'
import { type Answers, endedElements } from '#/plan/policy/ended.ts'
import { inetTable, inetTableInSteps, inetTableName, itselfShape, type OtherWays } from '#/plan/policy/inet-table.ts'
import { familyOfLocalSet } from '#/plan/policy/names.ts'
import { WrittenForm } from '#/plan/policy/written.ts'
import { type Form, type FormChange, type LocalPodForm } from '#/policy/form.ts'
import { directions } from '#/policy/policy.ts'
import { type Netns } from '#/sys/netns.ts'
import { type NftTable, type NftTableName } from '#/wire/nftables/ruleset.ts'
import { type ObjectStatus, StatusTable } from '../status.ts'
import { hasIpvsServices } from './ipvs.ts'
import { KeptTable } from './kept-table.ts'
import { type PolicyFacts, type PolicySink } from './policy-sink.ts'
import { Telling } from './telling.ts'

export type PolicyTablesDeps = {
  readonly log: Logger
  /** The MAC that the bridge of pods has now; undefined while there is no bridge, and so no packet between pods. */
  readonly bridgeMac: () => string | undefined
  readonly netns?: Netns
  readonly nowMs?: () => number
}

/** What the bridge table was made of. */
type WrittenBridge = {
  readonly mac: string
  readonly ports: Map<string, readonly Addr[]>
  readonly locals: Map<string, LocalPodForm>
}

export class PolicyTables implements PolicySink, Disposable {
  readonly #deps: PolicyTablesDeps
  readonly #client: NftClient
  readonly #status = new StatusTable()
  readonly #inet: KeptTable
  readonly #bridge: KeptTable
  readonly #telling: Telling
  #writtenForm = new WrittenForm()
  #writtenBridge: WrittenBridge | undefined
  /** Whether rules can tell what br_netfilter has handed to the rules for IP. */
  #tellsBridged = true
  /** Connections that were ended, by what their answers have in their headers. */
  readonly #ended = new Map<string, Answers>()
  /** Whether there may be any of the tables. */
  #mayExist = true

  /** Throws when the kernel has no nf_tables. */
  constructor(deps: PolicyTablesDeps) {
    this.#deps = deps
    this.#client = new NftClient(deps.netns)
    this.#telling = new Telling(this.#client, deps.log)
    const nowMs = deps.nowMs ?? Date.now
    this.#inet = new KeptTable(this.#client, inetTableName, this.#status, nowMs)
    this.#bridge = new KeptTable(this.#client, bridgeTableName, this.#status, nowMs)
  }

  get portId(): number {
    return this.#client.portId
  }

  get objects(): readonly ObjectStatus[] {
    return this.#status.list()
  }

  /** Why denied packets are counted only; undefined while the kernel takes rules that tell of them. */
  get untold(): string | undefined {
    return this.#telling.refusal
  }

  existsInKernel(): boolean {
    return this.#client.listTables().some(isPolicyTable)
  }

  /**
   * A pod that comes has its rules before its address is one from which it may send; both tables are changed even when one of them cannot be.
   * A change that the kernel refuses is made up for by writing the table whole. Throws KernelError when that fails too.
   */
  apply(form: Form, change: FormChange, facts: PolicyFacts): void {
    if (!facts.hasPolicies) {
      if (this.#mayExist) this.remove()
      return
    }
    this.#mayExist = true
    both(
      () => this.#applyForm(form, change),
      () => this.#applyLocals(form, change, facts),
    )
  }

  noteMissed(): void {
    for (const table of [this.#inet, this.#bridge]) table.noteMissed()
  }

  async compare(form: Form, facts: PolicyFacts): Promise<readonly string[]> {
    if (!facts.hasPolicies) {
      const present = this.#client.listTables().filter(isPolicyTable)
      if (present.length > 0) this.remove()
      return present.map(({ family, name }) => `table ${family} ${name} is not wanted: the cluster has no policies`)
    }
    this.#mayExist = true
    const mac = this.#deps.bridgeMac()
    return [
      ...(await this.#mendInet(form)),
      ...(mac === undefined ? [] : await this.#mendBridge(form, facts.ports, mac)),
    ]
  }

  /** What `compare` would put right. Rejects with KernelError. */
  async differences(form: Form, facts: PolicyFacts): Promise<readonly string[]> {
    if (!facts.hasPolicies) return []
    const mac = this.#deps.bridgeMac()
    return [
      ...(await this.#inet.differences(this.#inetTableOf(form))),
      ...(mac === undefined
        ? []
        : await this.#bridge.differences(Promise.resolve(this.#bridgeTableOf(facts.ports, mac, form.locals)))),
    ]
  }

  dropLocal(hostDevice: string, addrs: readonly Addr[]): void {
    for (const direction of directions)
      this.#bridge.drop({ kind: 'keys', set: policedShape(direction), keys: [[hostDevice]] })
    for (const family of families) {
      const own = addrs.filter((addr) => addr.family === family)
      for (const keys of sourceKeys(hostDevice, own, family))
        this.#bridge.drop({ kind: 'keys', set: sourceShape(family), keys: [keys] })
      for (const addr of own) {
        // it may be in those of an agent before this one; to try to take it out of each would take some 10 ms for each in which it is not
        const isAsked = (set: string): boolean => familyOfLocalSet(set) === family
        for (const name of this.#client.setsWith(inetTableName, addr, isAsked))
          this.#inet.drop({
            kind: 'ranges',
            set: { name, interval: false },
            ranges: [{ first: addr, last: addr }],
          })
        this.#inet.drop({ kind: 'keys', set: itselfShape(family), keys: [[addr, addr]] })
      }
    }
  }

  /**
   * Lets no answers of connections that were ended pass, and those of `over` again. Throws when it is not known whether they pass, and KernelError;
   * then they do not from the next comparison on.
   */
  blockAnswers(ended: readonly Answers[], over: readonly Answers[]): void {
    const fresh = ended.filter((each) => !this.#ended.has(answersText(each)))
    const former = over.filter((each) => this.#ended.has(answersText(each)))
    for (const each of fresh) this.#ended.set(answersText(each), each)
    for (const each of former) this.#ended.delete(answersText(each))
    if (!this.#inet.isKnown) {
      if (ended.length === 0) return
      throw new Error(`table ${this.#inet.key} is not as it was written: answers of ended connections may pass`)
    }
    const refusal = this.#inet.change({
      addElements: families.flatMap((family) => endedElements(fresh, family)),
      deleteElements: families.flatMap((family) => endedElements(former, family)),
    })
    if (refusal !== undefined) throw refusal
  }

  get #endedNow(): readonly Answers[] {
    return [...this.#ended.values()]
  }

  /** What rules have counted since the chain they are in was written. Rejects with KernelError. */
  async readCounters(form: Form): Promise<PolicyCounters> {
    const read = async ({ family, name }: NftTableName) =>
      this.#status.list().some(({ key }) => key === `${family} ${name}`) ? this.#client.readCounters(family, name) : []
    return countersOf(form, await read(inetTableName), await read(bridgeTableName))
  }

  /** Deletes both tables; no error when there are none. Throws KernelError. */
  remove(): void {
    // packets between pods are led to the rules for as long as there are rules
    both(
      () => this.#bridge.remove(),
      () => this.#inet.remove(),
    )
    this.#mayExist = false
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]()
  }

  #applyForm(form: Form, change: FormChange): void {
    // rules and sets of a family in which there were no pods are missing everywhere
    if (this.#inet.isKnown && change.newFamilies.size === 0) {
      const refusal = this.#inet.change(this.#telling.delta(policyDelta(form, change, this.#writtenForm)))
      if (refusal === undefined) return this.#writtenForm.note(form, change)
      this.#logRefusal(this.#inet, refusal)
    }
    const table = inetTable(form, this.#endedNow, this.#otherWays)
    try {
      this.#inet.write(this.#telling.table(table))
    } catch (error) {
      if (!this.#telling.explains(error)) throw error
      this.#inet.write(this.#telling.table(table))
    }
    this.#writtenForm = WrittenForm.of(form)
  }

  #applyLocals(form: Form, change: FormChange, { ports, changedPorts }: PolicyFacts): void {
    const mac = this.#deps.bridgeMac()
    if (mac === undefined) {
      // what changes meanwhile is written when there is a bridge again, which may be one with the same MAC
      this.#writtenBridge = undefined
      return
    }
    const written = this.#writtenBridge
    if (this.#bridge.isKnown && written?.mac === mac) {
      const delta = bridgeDelta(written, { ports, changedPorts, changedLocals: change.locals })
      const refusal = this.#bridge.change(delta)
      if (refusal === undefined) {
        for (const device of changedPorts) put(written.ports, device, ports.get(device))
        for (const [device, local] of change.locals) put(written.locals, device, local)
        return
      }
      this.#logRefusal(this.#bridge, refusal)
    }
    const write = (): void => this.#bridge.write(this.#bridgeTableOf(ports, mac, form.locals))
    try {
      write()
    } catch (error) {
      if (!this.#isUntoldBridged(error)) throw error
      write()
    }
    this.#writtenBridge = { mac, ports: new Map(ports), locals: new Map(form.locals) }
  }

  async #inetTableOf(form: Form): Promise<NftTable> {
    return this.#telling.table(await inTurns(inetTableInSteps(form, this.#endedNow, this.#otherWays)))
  }

  async #mendInet(form: Form): Promise<string[]> {
    const mend = () =>
      this.#inet.mend(
        () => this.#inetTableOf(form),
        () => (this.#writtenForm = WrittenForm.of(form)),
      )
    this.#telling.tryAgain()
    try {
      return await mend()
    } catch (error) {
      if (!this.#telling.explains(error)) throw error
      return mend()
    }
  }

  get #otherWays(): OtherWays {
    const { netns } = this.#deps
    return { ipvs: netns === undefined ? hasIpvsServices() : netns.run(hasIpvsServices) }
  }

  async #mendBridge(form: Form, ports: Ports, mac: string): Promise<string[]> {
    let written: WrittenBridge
    const wanted = async (): Promise<NftTable> => {
      // they change while the table is read
      written = { mac, ports: new Map(ports), locals: new Map(form.locals) }
      return this.#bridgeTableOf(written.ports, mac, written.locals)
    }
    const mend = () => this.#bridge.mend(wanted, () => (this.#writtenBridge = written))
    try {
      return await mend()
    } catch (error) {
      if (!this.#isUntoldBridged(error)) throw error
      return mend()
    }
  }

  #bridgeTableOf(ports: Ports, mac: string, locals: Form['locals']): NftTable {
    return bridgeTable(ports, mac, locals, this.#tellsBridged)
  }

  /** Whether a bridge table that was refused is to be written once more, since it will be without what this kernel does not know. */
  #isUntoldBridged(error: unknown): boolean {
    if (!this.#tellsBridged || !(error instanceof KernelError)) return false
    const refusal = this.#client.refusalOf(bridgedTrial)
    this.#tellsBridged = refusal === undefined
    if (refusal !== undefined)
      this.#deps.log.info('packets between pods of this node are routed', { error: refusal.message })
    return !this.#tellsBridged
  }

  #logRefusal({ key }: KeptTable, refusal: KernelError): void {
    this.#deps.log.warn('a policy table is not as it was written, and is written anew', {
      table: key,
      error: refusal.message,
    })
  }
}

function answersText({ protocol, src, srcPort, dst, dstPort }: Answers): string {
  return [protocol, src, srcPort, dst, dstPort].join(' ')
}

function isPolicyTable({ family, name }: { readonly family: string; readonly name: string }): boolean {
  return name === policyTableName && (family === inetTableName.family || family === bridgeTableName.family)
}

/** Does the second also when the first throws. */
function both(first: () => void, second: () => void): void {
  try {
    first()
  } finally {
    second()
  }
}
