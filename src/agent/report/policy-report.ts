// All that this agent tells of network policy beside its state: to the API, to metrics, to the log, and as problems.
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listenToGroup } from '#/kernel/nflog.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { type DeniedPacket } from '#/datapath/programs.ts'
import { type Logger } from '#/lib/log.ts'
import { type Signal } from '#/lib/signal.ts'
import { policyLogGroup } from '#/model/names.ts'
import { type Problem } from '#/model/problems.ts'
import { type PolicyCounters } from '#/plan/policy/counters.ts'
import { evaluate } from '#/policy/evaluate.ts'
import { faultProblems } from '#/policy/fault-problems.ts'
import { podInKernel } from '#/reconcile/policy/pod-in-kernel.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { type SocketEnds } from '#/wire/netlink/sock-diag.ts'
import { Adopter } from '../policy/adopt.ts'
import { type PolicyPart } from '../policy-part.ts'
import { PolicyDenials } from './policy-denials.ts'
import { type DeniedEarly, withEarlyDenials } from './policy-early.ts'
import { DenialListener } from './policy-listener.ts'
import { type PolicySources } from './policy-sources.ts'

export type PolicyReportDeps = {
  readonly nodeName: string
  readonly policy: PolicyPart
  /** Packets that programs denied, as they tell them. */
  readonly deniedEarly?: Signal<DeniedPacket>
  /** What programs have counted. Throws BpfError. */
  readonly readDeniedEarly?: () => readonly DeniedEarly[]
  /** Whether a pod of this node has the connection; undefined: none of its pods has the local address. */
  readonly hasConnection: (ends: SocketEnds) => boolean | undefined
  readonly clock?: Clock
  readonly log: Logger
}

const nothingCounted: PolicyCounters = { rules: [], denied: [], refused: [] }

export class PolicyReport implements Disposable {
  readonly #deps: PolicyReportDeps
  readonly #made = new DisposableStack()
  /** For readings alone, which take several turns of the event loop. */
  readonly #nftables = this.#made.use(new NftClient())
  readonly sources: PolicySources
  readonly listener: DenialListener

  constructor(deps: PolicyReportDeps) {
    this.#deps = deps
    const { nodeName, policy, clock = systemClock, log } = deps
    this.sources = {
      nodeName,
      view: policy.view,
      form: () => policy.form,
      readings: () => policy.readings,
      state: () => policy.state,
      untold: () => policy.tables?.untold,
      counters: async () => {
        const counters = (await policy.tables?.readCounters(policy.form)) ?? nothingCounted
        return withEarlyDenials(policy.form, counters, deps.readDeniedEarly?.() ?? [])
      },
      podInKernel: (addrs) => podInKernel(this.#nftables, addrs),
    }
    const adopter = this.#makeAdopter()
    const denials = this.#made.use(
      new PolicyDenials({ view: () => policy.view, adopt: (packet) => adopter.adopt(packet), clock, log }),
    )
    this.listener = this.#made.use(
      new DenialListener({
        denials,
        listen: (onPacket, onError) => listenToGroup(policyLogGroup, onPacket, onError),
        clock,
        log,
      }),
    )
    deps.deniedEarly?.subscribe((denied) => denials.note(denied))
    const noteRules = (): void => this.listener.want(policy.form.classes.size > 0)
    policy.keeper.applied.subscribe(noteRules)
    policy.keeper.compared.subscribe(noteRules)
    noteRules()
  }

  #makeAdopter(): Adopter {
    const { policy, hasConnection, log } = this.#deps
    return new Adopter({
      evaluate: (packet) => evaluate(policy.view, packet),
      isLevel: () => policy.keeper.isLevel,
      hasConnection,
      ended: policy.ended,
      netlink: this.#made.use(new Netlink(NETLINK_NETFILTER)),
      log,
    })
  }

  /** What policies say that cannot be enforced as written. */
  get problems(): readonly Problem[] {
    return [...this.#deps.policy.readings].flatMap(([key, { faults }]) => faultProblems(key, faults))
  }

  [Symbol.dispose](): void {
    this.#made.dispose()
  }
}
