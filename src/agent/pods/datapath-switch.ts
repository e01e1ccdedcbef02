// Which datapath the pods of this node have, and the change to another one under pods that run. Programs stand in front of the bridge, so
// the change is that programs are attached to devices, or no longer: the reconciler does that, and each pod's row in the state file follows.
// docs/datapath.md tells the order, and why a kill at any point does no harm.
import { type Announcer } from '#/datapath/announcer.ts'
import { type EbpfState, programsAt } from '#/datapath/programs.ts'
import { datapathKinds } from '#/datapath/registry.ts'
import { findLink, type Link } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type DatapathName, type DatapathState } from '#/model/datapath.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { datapathSource, type Said } from '#/settings/precedence.ts'
import { type DirtySet } from '../network/dirty-set.ts'
import { type Endpoint, type EndpointStore } from '../endpoints/endpoint-store.ts'

export type DatapathSwitchDeps = {
  readonly netlink: Netlink
  readonly store: EndpointStore
  /** Absent: there is no other datapath than the bridge. */
  readonly ebpf: EbpfState | undefined
  readonly announcer: Pick<Announcer, 'announce'>
  /** The datapath that is wanted, and who says so. */
  readonly wanted: () => Said<DatapathName>
  readonly dirt: DirtySet
  readonly log: Logger
}

/** The kinds of object that the programs consist of. */
const kinds = ['program', 'pod-map', 'node-map', 'attachment'] as const

export class DatapathSwitch {
  readonly #deps: DatapathSwitchDeps
  #current: DatapathName | undefined
  #told = ''

  constructor(deps: DatapathSwitchDeps) {
    this.#deps = deps
  }

  /** The datapath of new pods, and the one that all others get. */
  get current(): DatapathName {
    return this.#current ?? 'bridge'
  }

  /** Undefined while it is not decided. */
  get state(): DatapathState | undefined {
    if (this.#current === undefined) return undefined
    const why = this.#why
    return { name: this.#current, ...(why !== undefined && { why }) }
  }

  get problems(): readonly Problem[] {
    const { ebpf, wanted } = this.#deps
    const why = this.#why
    if (why === undefined) return []
    const { by } = wanted()
    const remedy = ebpf?.refusal?.remedy
    return [
      problem(
        'CW3201',
        'datapath/ebpf',
        `${datapathSource(by)} asks for the datapath ebpf, and pods stay with the bridge: ${why}`,
        remedy === undefined ? {} : { remedy },
      ),
    ]
  }

  /** Why pods have the bridge though programs are wanted. */
  get #why(): string | undefined {
    const { ebpf, wanted } = this.#deps
    return this.#current === 'bridge' && wanted().value === 'ebpf' ? ebpf?.refusal?.message : undefined
  }

  /** Decides before a pass, and loads the programs when they are needed. Does not reject. */
  async decide(): Promise<void> {
    const { ebpf, wanted, dirt, log } = this.#deps
    const { value, by } = wanted()
    if (value === 'ebpf') await ebpf?.prepare()
    const decided = value === 'ebpf' && ebpf?.current !== undefined ? 'ebpf' : 'bridge'
    const refusal = value === 'ebpf' && decided === 'bridge' ? ebpf?.refusal?.message : undefined
    if (refusal !== undefined && refusal !== this.#told) log.error('the datapath stays the bridge', { error: refusal })
    this.#told = refusal ?? ''
    if (decided === this.#current) return
    log.info('datapath decided', { datapath: decided, wanted: value, by })
    this.#current = decided
    dirt.mark('port', ...kinds)
  }

  /**
   * Has the rows of pods follow what is attached, after a pass. Returns whether any did, which another pass has to take up: the programs then
   * know all pods as their own. Does not throw.
   */
  settle(pods: readonly Endpoint[]): boolean {
    const { store, log, dirt } = this.#deps
    const current = this.current
    const late = pods.filter(({ state, datapath }) => state === 'ready' && datapath !== current)
    if (late.length === 0) return false
    try {
      const changed = late.filter(({ hostDevice }) => this.#isSettled(hostDevice, current))
      if (changed.length === 0) return false
      store.setDatapath(changed, current)
      if (current === 'bridge') this.#announce(changed)
      log.info('pods have another datapath', { datapath: current, pods: changed.length })
      dirt.mark('port', 'pod-map')
      return true
    } catch (error) {
      log.error('the datapath of pods could not be noted', { error: messageOf(error) })
      return false
    }
  }

  /** Whether the programs are attached to the device, all or none, as the datapath wants. */
  #isSettled(hostDevice: string, datapath: DatapathName): boolean {
    const { ebpf, netlink } = this.#deps
    if (ebpf === undefined) return true
    return programsAt(netlink, ebpf, hostDevice) === (datapath === 'ebpf' ? 'all' : 'none')
  }

  /** Programs told pods the gateway's MAC for each other; on the bridge pods reach each other by their own. */
  #announce(pods: readonly Endpoint[]): void {
    const { announcer, netlink } = this.#deps
    const bridge: Link | undefined = findLink(netlink, datapathKinds.bridge.podDevice)
    if (bridge === undefined) return
    for (const { mac, addrs } of pods)
      announcer.announce(
        bridge.index,
        mac,
        addrs.map(({ addr }) => addr),
      )
  }
}
