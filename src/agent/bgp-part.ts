// BGP on this node: the keeper of its speaker, and the routes that the speaker has learned.
import { type ApiClient } from '#/cluster/client.ts'
import { hasRoutesOf } from '#/kernel/routes.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { type Latest, type Signal } from '#/lib/signal.ts'
import { type Logger } from '#/lib/log.ts'
import { type Reach } from '#/model/bgp.ts'
import { routeProtocol } from '#/model/names.ts'
import { BgpKeeper, type BgpKeeperConfig, type SettledClaims } from './bgp/bgp-keeper.ts'
import { LearnedRouteStore } from './bgp/learned-route-store.ts'
import { type ClusterPart } from './cluster-part.ts'
import { type Urgency } from './network/reconcile-loop.ts'

export type BgpPartDeps = {
  readonly client: ApiClient
  readonly netlink: Netlink
  readonly cluster: ClusterPart
  /** Why a learned route is not in the kernel or not used there, by prefix. The network part keeps this up to date. */
  readonly notInstalled: Latest<ReadonlyMap<string, string>>
  readonly wake: Signal<Urgency>
  readonly log: Logger
}

/** What other parts may read of BGP. */
export type BgpState = Pick<
  BgpKeeper,
  'isAdvertising' | 'hasSession' | 'sessionGuards' | 'problems' | 'handlers' | 'sessions'
>

export class BgpPart implements AsyncDisposable {
  readonly learned = new LearnedRouteStore()
  readonly #keeper: BgpKeeper

  constructor(config: BgpKeeperConfig, { client, netlink, cluster, notInstalled, wake, log }: BgpPartDeps) {
    this.#keeper = new BgpKeeper(config, {
      client,
      self: () => cluster.view.self,
      nodes: () => cluster.nodes.objects,
      routing: () => cluster.routing,
      isComplete: () => cluster.isKnown,
      keptForwarding: () => hasRoutesOf(netlink, routeProtocol),
      notInstalled: () => notInstalled.value,
      learned: this.learned,
      onLearned: () => wake.emit('soon'),
      onChange: () => wake.emit('later'),
      log,
    })
    cluster.nodes.subscribe((change) => this.#keeper.takeNode(change))
    cluster.settingsChanged.subscribe(() => this.#keeper.noticeSettings())
  }

  get state(): BgpState {
    return this.#keeper
  }

  /** Takes where next hops are reached from this node, and which node has which pod CIDRs. */
  takeNetwork(reach: Reach, claims: SettledClaims): void {
    this.#keeper.takeNetwork(reach, claims)
  }

  start(): void {
    this.#keeper.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]()
  }
}
