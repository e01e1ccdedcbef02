// Asks the kernel which way packets to each pod CIDR take, once as those of a pod and once as those of the node, and keeps what is in the
// way. The reconciler proves that our routes are there; only the kernel's own answer shows that they are used. docs/scale.md has the cost.
import { setImmediate } from 'node:timers/promises'
import { listAddresses } from '#/kernel/addresses.ts'
import { findLink, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { listRules } from '#/kernel/route-lookup.ts'
import { visitRoutesInTurns } from '#/kernel/routes.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { Allowance, type AllowanceLimits } from '#/lib/allowance.ts'
import { isOurLink, routeProtocol, vxlanName } from '#/model/names.ts'
import { type Problem } from '#/model/problems.ts'
import { type Verdict, verdictKey } from '#/model/verdict.ts'
import { type RemoteNodes } from '#/plan/remote-nodes.ts'
import { type KernelState, tellPacketsApart } from '#/obstacles/kernel-way.ts'
import { isRouteOf, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { WayAnswers } from './way-answers.ts'
import { addressIn, ForeignParts } from './foreign-parts.ts'
import { type FamilyCount, type Finding, obstructionOf, problemsOfFindings } from './way-findings.ts'
import { type Arrival, type Asker, type Question, questionsAbout, questionsAboutOwn } from './way-questions.ts'

/** How many pod CIDRs are asked about in one turn of the event loop: some 40 questions, which take about a millisecond. */
const portion = 12

/**
 * Questions about all pod CIDRs may take 1 % of a processor in the long run. What is saved is enough for several times in a row where there
 * are thousands of nodes, and for hundreds of times where there are a few.
 */
const fullLimits: AllowanceLimits = { share: 0.01, mostMs: 2000 }

export type WayCheckInput = {
  readonly remoteNodes: RemoteNodes
  /** The device through which pods' packets enter the node's network stack. */
  readonly podDevice: string
  readonly clusterCIDRs: readonly Prefix[]
  /** Asks about every pod CIDR, now or as soon as that may cost so much again; otherwise only about those whose verdict is new. */
  readonly isFull: boolean
  /** Pod CIDRs, as text, whose routes could not be made: that is a problem already. */
  readonly failedRoutes: ReadonlySet<string>
}

/** One pod CIDR that is asked about, also as text; without a verdict it is one of this node itself. */
type Subject = { readonly cidr: Prefix; readonly key: string; readonly verdict?: Verdict }

/** `nowMs` is a monotonic clock, `cpuMs` the processor time that the calling thread has used. */
export type WayCheckClocks = { readonly nowMs: () => number; readonly cpuMs: () => number }

const ownClocks: WayCheckClocks = {
  nowMs: () => performance.now(),
  cpuMs() {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  },
}

export class WayCheck {
  readonly #netlink: Netlink
  readonly #answers: WayAnswers
  readonly #cpuMs: () => number
  readonly #allowance: Allowance
  #isFullDue = false
  #isOwnDue = false
  /** The verdicts that are to be asked about, by pod CIDR as text. */
  readonly #due = new Map<string, Verdict>()
  /** What was found, by pod CIDR as text; nearly all have nothing. */
  readonly #found = new Map<string, readonly Finding[]>()
  #own: readonly Finding[] = []
  /** Pod CIDRs, as text, for which the last check found our route gone. */
  #doubted = new Set<string>()
  #foreign = new ForeignParts([], () => false)
  /** Whether there are rules that tell packets of the node from those of pods. */
  #asksForNode = false
  #problems: readonly Problem[] = []
  #obstruction: string | undefined

  constructor(netlink: Netlink, { nowMs, cpuMs }: WayCheckClocks = ownClocks) {
    this.#netlink = netlink
    this.#answers = new WayAnswers(netlink)
    this.#cpuMs = cpuMs
    this.#allowance = new Allowance(fullLimits, nowMs)
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Why most pods of other nodes are not reached; undefined when they are. */
  get obstruction(): string | undefined {
    return this.#obstruction
  }

  /** How many ms it takes until the questions about all pod CIDRs, which were put off, may be asked; undefined when none were. */
  get fullInMs(): number | undefined {
    return this.#isFullDue ? this.#allowance.waitMs : undefined
  }

  /**
   * Asks the kernel. Returns whether a route of ours seems to be gone without a notification, so that the kernel must be compared again; if
   * the next check still finds that, it is a problem. Throws KernelError when the kernel cannot be read.
   */
  async check(input: WayCheckInput): Promise<{ readonly isDoubtful: boolean }> {
    const { remoteNodes } = input
    let isChanged = this.#takeChanges(remoteNodes)
    if (input.isFull) this.#isFullDue = true
    const isFull = this.#isFullDue && this.#allowance.waitMs === 0
    const beganMs = this.#cpuMs()
    const ownCIDRs = remoteNodes.self.podCIDRs.filter(({ size }) => size > 2n)
    if (isFull) await this.#lookAround(remoteNodes, ownCIDRs)
    const state = this.#stateOf(input)
    const asker = once(() => this.#askerFor(input, ownCIDRs))
    const asksOwn = isFull || this.#isOwnDue
    const found: Found = { doubted: new Set(), own: [] }
    for (const subjects of portionsOf(this.#subjects(input, asksOwn ? ownCIDRs : [], isFull))) {
      if (isChanged) await setImmediate()
      isChanged = true
      this.#ask(subjects, asker(), state, found)
    }
    if (isFull) {
      this.#isFullDue = false
      this.#allowance.spend(this.#cpuMs() - beganMs)
    }
    if (asksOwn) this.#own = found.own
    if (isChanged || isFull) {
      this.#doubted = found.doubted
      this.#isOwnDue = ownCIDRs.some((cidr) => found.doubted.has(String(cidr)))
      this.#conclude(remoteNodes, ownCIDRs)
    }
    return { isDoubtful: found.doubted.size > 0 }
  }

  /** Takes over which verdicts are new or gone; returns whether something that was found has gone with them. */
  #takeChanges(remoteNodes: RemoteNodes): boolean {
    let isLess = false
    for (const [key, verdict] of remoteNodes.takeVerdictChanges()) {
      if (this.#found.delete(key)) isLess = true
      if (verdict) this.#due.set(key, verdict)
      else this.#due.delete(key)
    }
    return isLess
  }

  /** What is to be asked about now. Where a route could not be made, that is a problem already, and the question comes when it is made. */
  *#subjects({ remoteNodes, failedRoutes }: WayCheckInput, own: readonly Prefix[], isFull: boolean): Iterable<Subject> {
    for (const cidr of own) yield { cidr, key: String(cidr) }
    for (const verdict of isFull ? remoteNodes.verdicts : this.#due.values()) {
      const key = verdictKey(verdict)
      if (verdict.way === 'none') this.#due.delete(key)
      else if (!failedRoutes.has(key)) yield { cidr: verdict.dst, key, verdict }
      else if (isFull) {
        this.#due.set(key, verdict)
        this.#found.delete(key)
      }
    }
  }

  /** Reads what the questions depend on, and which change only with a notification that asks for all questions. */
  async #lookAround(remoteNodes: RemoteNodes, ownCIDRs: readonly Prefix[]): Promise<void> {
    const ours = new Set(listLinks(this.#netlink).flatMap(({ name, index }) => (isOurLink(name) ? [index] : [])))
    const own = new Set(ownCIDRs.map(String))
    const foreign = new ForeignParts(
      cidrsOf(remoteNodes, ownCIDRs),
      (cidr) => own.has(cidr) || remoteNodes.wantsRoute(cidr),
    )
    const isOnOurs = ({ nextHops }: Route): boolean => nextHops.some(({ oif }) => ours.has(oif ?? 0))
    await visitRoutesInTurns(
      this.#netlink,
      (route) => {
        if (!isOnOurs(route)) foreign.take(route)
      },
      // nearly all routes are ours
      (payload) => isRouteOf(payload, routeProtocol, RT_TABLE_MAIN),
    )
    this.#foreign = foreign
    this.#asksForNode = tellPacketsApart(listRules(this.#netlink))
    this.#answers.forget()
  }

  #askerFor({ podDevice, remoteNodes }: WayCheckInput, ownCIDRs: readonly Prefix[]): Asker {
    const device = findLink(this.#netlink, podDevice)
    return {
      device: device?.isUp === true ? device : undefined,
      arrivals: once(() => this.#arrivalsOf(remoteNodes)),
      ownCIDRs,
      asksForNode: this.#asksForNode,
    }
  }

  /** A pod of one node stands for those of all that are reached over the same device. */
  #arrivalsOf(remoteNodes: RemoteNodes): Arrival[] {
    const samples = new Map<string, { readonly name: string; readonly src: Addr }>()
    for (const verdict of remoteNodes.verdicts) {
      const name = deviceOf(verdict)
      const key = `${name} ${verdict.dst.family}`
      if (name !== undefined && !samples.has(key)) samples.set(key, { name, src: addressIn(verdict.dst) })
    }
    return [...samples.values()].flatMap(({ name, src }) => {
      const iif = findLink(this.#netlink, name)
      return iif?.isUp === true ? [{ src, iif }] : []
    })
  }

  #questionsOf({ verdict, cidr }: Subject, asker: Asker): Question[] {
    const parts = this.#foreign.addressesIn(cidr)
    return verdict ? questionsAbout(verdict, parts, asker) : questionsAboutOwn(cidr, parts, asker)
  }

  /** What explains an answer is read only when an answer needs it: nearly always, none does. */
  #stateOf({ clusterCIDRs, remoteNodes }: WayCheckInput): KernelState {
    const names = once(() => new Map(listLinks(this.#netlink).map(({ name, index }) => [index, name])))
    const { dropping } = this.#foreign
    const rules = once(() => listRules(this.#netlink))
    const nodes = once(() => [...remoteNodes.verdicts].flatMap(addrsOf))
    const own = once(() =>
      listAddresses(this.#netlink).flatMap(({ index, addr }) => (isOurLink(names().get(index) ?? '') ? [] : [addr])),
    )
    return {
      nameOf: (index) => names().get(index) ?? `if${index}`,
      dropping,
      clusterCIDRs,
      get rules() {
        return rules()
      },
      get nodes() {
        return nodes()
      },
      get own() {
        return own()
      },
    }
  }

  #ask(subjects: readonly Subject[], asker: Asker, state: KernelState, found: Found): void {
    const asked = subjects.map((subject) => this.#questionsOf(subject, asker))
    const judgements = this.#answers.judge(asked.flat(), state).values()
    for (const [index, { key, cidr, verdict }] of subjects.entries()) {
      const findings: Finding[] = []
      let isMissing = false
      for (const { about, owner, isWhole } of asked[index]!) {
        const judgement = judgements.next().value
        if (judgement === undefined) continue
        if (judgement.kind === 'missing') isMissing = true
        const { obstacle } = judgement
        const isOfWhole = isWhole && obstacle.isOfPart !== true
        // a part tells nothing new when the whole is in the way of the same
        if (!isOfWhole && findings.some((each) => each.obstacle.what === obstacle.what)) continue
        const destination = `${isWhole && !isOfWhole && about === cidr ? addressIn(cidr) : about} of ${owner}`
        findings.push({ obstacle, destination, family: cidr.family, isWhole: isOfWhole })
      }
      const isDoubted = isMissing && !this.#doubted.has(key)
      if (isDoubted) found.doubted.add(key)
      if (verdict === undefined) found.own.push(...(isDoubted ? [] : findings))
      else this.#keep(key, verdict, isDoubted ? undefined : findings)
    }
  }

  /** Keeps what was found about a verdict; without findings, it is to be asked about again. */
  #keep(key: string, verdict: Verdict, findings: readonly Finding[] | undefined): void {
    if (findings === undefined) this.#due.set(key, verdict)
    else this.#due.delete(key)
    if (findings === undefined || findings.length === 0) this.#found.delete(key)
    else this.#found.set(key, findings)
  }

  #conclude(remoteNodes: RemoteNodes, ownCIDRs: readonly Prefix[]): void {
    const asked = [...this.#found.values()]
    this.#problems = problemsOfFindings([...this.#own, ...asked.flat()])
    this.#obstruction = undefined
    if (this.#problems.length === 0) return
    const all = [...remoteNodes.verdicts].filter(({ way }) => way !== 'none')
    const counts = ([4, 6] as const).map((family): FamilyCount => {
      const isOf = (finding: Finding): boolean => finding.isWhole && finding.family === family
      return {
        family,
        asked: all.filter(({ dst }) => dst.family === family).length,
        cutOff: asked.filter((findings) => findings.some(isOf)).length,
        isOwnCutOff: ownCIDRs.length > 0 && this.#own.some(isOf),
      }
    })
    this.#obstruction = obstructionOf(counts, this.#problems)
  }
}

/** What one check finds: pod CIDRs, as text, whose routes seem to be gone, and what is in the way of this node's own. */
type Found = { readonly doubted: Set<string>; readonly own: Finding[] }

function* cidrsOf(remoteNodes: RemoteNodes, ownCIDRs: readonly Prefix[]): Iterable<Prefix> {
  yield* ownCIDRs
  for (const { dst } of remoteNodes.verdicts) yield dst
}

function* portionsOf(subjects: Iterable<Subject>): Iterable<readonly Subject[]> {
  let next: Subject[] = []
  for (const subject of subjects) {
    next.push(subject)
    if (next.length < portion) continue
    yield next
    next = []
  }
  if (next.length > 0) yield next
}

/** The device by which packets of the node's pods come, as those to them go: where others come by another, that cannot be known here. */
function deviceOf(verdict: Verdict): string | undefined {
  if (verdict.way === 'vxlan') return vxlanName
  return verdict.way === 'native' ? verdict.nextHops[0]?.device : undefined
}

function addrsOf(verdict: Verdict): Addr[] {
  if (verdict.way === 'vxlan') return [verdict.tunnel.src, verdict.tunnel.dst]
  return verdict.way === 'native' ? verdict.nextHops.map(({ gateway }) => gateway) : []
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}
