// Asks the kernel which way packets to each pod CIDR take, once as those of a pod and once as those of the node, and keeps what is in the
// way. The reconciler proves that our routes are there; only the kernel's own answer shows that they are used. docs/scale.md has the cost.
import { listAddresses } from '#/kernel/addresses.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { listRules, lookUpRoutes } from '#/kernel/route-lookup.ts'
import { visitRoutesInTurns } from '#/kernel/routes.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { isOurLink, routeProtocol } from '#/model/names.ts'
import { type Problem } from '#/model/problems.ts'
import { type Verdict, verdictKey } from '#/model/verdict.ts'
import { type RemoteNodes } from '#/plan/remote-nodes.ts'
import { judge, type KernelState, tellPacketsApart } from '#/reconcile/kernel-way.ts'
import { isRouteOf, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { ForeignParts } from './foreign-parts.ts'
import { type FamilyCount, type Finding, obstructionOf, problemsOfFindings } from './way-findings.ts'
import { type Asker, type Question, questionsAbout, questionsAboutOwn } from './way-questions.ts'

/** How many pod CIDRs are asked about at once: few, so that answers are garbage before they count as old (docs/decisions/0004-bundle.md). */
const portion = 12

export type WayCheckInput = {
  readonly remoteNodes: RemoteNodes
  /** The device through which pods' packets enter the node's network stack. */
  readonly podDevice: string
  readonly clusterCIDRs: readonly Prefix[]
  /** Asks about every pod CIDR; otherwise only about those whose verdict is new. */
  readonly isFull: boolean
  /** Pod CIDRs, as text, whose routes could not be made: that is a problem already. */
  readonly failedRoutes: ReadonlySet<string>
}

/** One pod CIDR that is asked about; without a verdict it is one of this node itself. */
type Subject = { readonly cidr: Prefix; readonly verdict?: Verdict }

export class WayCheck {
  readonly #netlink: Netlink
  /** The verdicts that were asked about. */
  #asked = new WeakSet<Verdict>()
  /** What was found about them; nearly all verdicts have nothing. */
  #found = new Map<Verdict, readonly Finding[]>()
  /** What the last check knew: when nothing of it has changed, there is nothing to ask. */
  #seen: { readonly version: number; readonly failed: string } | undefined
  #own: readonly Finding[] = []
  /** Pod CIDRs, as text, for which the last check found our route gone. */
  #doubted = new Set<string>()
  #foreign = new ForeignParts([])
  #problems: readonly Problem[] = []
  #obstruction: string | undefined

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Why most pods of other nodes are not reached; undefined when they are. */
  get obstruction(): string | undefined {
    return this.#obstruction
  }

  /**
   * Asks the kernel. Returns whether a route of ours seems to be gone without a notification, so that the kernel must be compared again; if
   * the next check still finds that, it is a problem. Throws KernelError when the kernel cannot be read.
   */
  async check(input: WayCheckInput): Promise<{ readonly isDoubtful: boolean }> {
    const { remoteNodes, isFull, failedRoutes } = input
    const seen = { version: remoteNodes.version, failed: [...failedRoutes].sort().join() }
    if (!isFull && this.#seen?.version === seen.version && this.#seen.failed === seen.failed)
      return { isDoubtful: false }
    const all = [...remoteNodes.verdicts].filter(({ way }) => way !== 'none')
    const found = new Map<Verdict, readonly Finding[]>()
    const due: Verdict[] = []
    if (isFull) this.#asked = new WeakSet()
    for (const verdict of all) {
      const known = this.#found.get(verdict)
      if (!this.#asked.has(verdict)) {
        if (failedRoutes.size === 0 || !failedRoutes.has(verdictKey(verdict))) due.push(verdict)
      } else if (known) found.set(verdict, known)
    }
    const ownCIDRs = remoteNodes.self.podCIDRs.filter(({ size }) => size > 2n)
    if (due.length === 0 && !isFull) {
      const isLess = found.size < this.#found.size
      this.#found = found
      this.#seen = seen
      if (isLess) this.#conclude(all, ownCIDRs)
      return { isDoubtful: false }
    }
    const links = listLinks(this.#netlink)
    if (isFull) await this.#findForeign([...all.map(({ dst }) => dst), ...ownCIDRs], links)
    const device = links.find(({ name, isUp }) => name === input.podDevice && isUp)
    const state = this.#stateOf(input, links, all)
    const asker = { device, ownCIDRs, asksForNode: tellPacketsApart(state.rules) }
    const doubted = new Set<string>()
    const ownFindings: Finding[] = []
    const subjects: readonly Subject[] = [
      ...(isFull ? ownCIDRs.map((cidr) => ({ cidr })) : []),
      ...due.map((verdict) => ({ cidr: verdict.dst, verdict })),
    ]
    for (let start = 0; start < subjects.length; start += portion) {
      for (const [{ verdict, cidr }, findings] of await this.#ask(
        subjects.slice(start, start + portion),
        asker,
        state,
      )) {
        if (findings === undefined) doubted.add(String(cidr))
        else if (verdict) {
          this.#asked.add(verdict)
          if (findings.length > 0) found.set(verdict, findings)
        } else ownFindings.push(...findings)
      }
    }
    this.#found = found
    this.#seen = doubted.size > 0 ? undefined : seen
    if (isFull) this.#own = ownFindings
    this.#doubted = doubted
    this.#conclude(all, ownCIDRs)
    return { isDoubtful: doubted.size > 0 }
  }

  async #findForeign(cidrs: readonly Prefix[], links: readonly Link[]): Promise<void> {
    const ours = new Set(links.flatMap(({ name, index }) => (isOurLink(name) ? [index] : [])))
    const foreign = new ForeignParts(cidrs)
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
  }

  #questionsOf({ verdict, cidr }: Subject, asker: Asker): Question[] {
    const parts = this.#foreign.addressesIn(cidr)
    return verdict ? questionsAbout(verdict, parts, asker) : questionsAboutOwn(cidr, parts, asker)
  }

  /** What explains an answer is read only when an answer needs it: nearly always, none does. */
  #stateOf({ clusterCIDRs }: WayCheckInput, links: readonly Link[], verdicts: readonly Verdict[]): KernelState {
    const names = new Map(links.map(({ name, index }) => [index, name]))
    const foreign = this.#foreign
    const rules = once(() => listRules(this.#netlink))
    const nodes = once(() => verdicts.flatMap(addrsOf))
    const own = once(() =>
      listAddresses(this.#netlink).flatMap(({ index, addr }) => (isOurLink(names.get(index) ?? '') ? [] : [addr])),
    )
    return {
      nameOf: (index) => names.get(index) ?? `if${index}`,
      dropping: foreign.dropping,
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

  /** The findings of each subject; undefined for one whose route seems to be gone. */
  async #ask(
    subjects: readonly Subject[],
    asker: Asker,
    state: KernelState,
  ): Promise<(readonly [Subject, readonly Finding[] | undefined])[]> {
    const asked = subjects.map((subject) => ({ subject, questions: this.#questionsOf(subject, asker) }))
    const lookups = asked.flatMap(({ questions }) => questions.map(({ lookup }) => lookup))
    const answers = (await lookUpRoutes(this.#netlink, lookups)).values()
    return asked.map(({ subject, questions }) => {
      const findings: Finding[] = []
      let isMissing = false
      for (const { lookup, way, destination, isWhole } of questions) {
        const judgement = judge(way, lookup, answers.next().value!, state)
        if (judgement.kind === 'planned') continue
        if (judgement.kind === 'missing') isMissing = true
        const { obstacle } = judgement
        // a part tells nothing new when the whole is in the way of the same
        if (!isWhole && findings.some((each) => each.obstacle.what === obstacle.what)) continue
        findings.push({ obstacle, destination, family: subject.cidr.family, isWhole })
      }
      return [subject, isMissing && !this.#doubted.has(String(subject.cidr)) ? undefined : findings]
    })
  }

  #conclude(all: readonly Verdict[], ownCIDRs: readonly Prefix[]): void {
    const asked = [...this.#found.values()]
    this.#problems = problemsOfFindings([...this.#own, ...asked.flat()])
    this.#obstruction = undefined
    if (this.#problems.length === 0) return
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

function addrsOf(verdict: Verdict): Addr[] {
  if (verdict.way === 'vxlan') return [verdict.tunnel.src, verdict.tunnel.dst]
  return verdict.way === 'native' ? verdict.nextHops.map(({ gateway }) => gateway) : []
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}
