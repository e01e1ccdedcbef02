// The objects of the group causeway.dev as this node's agent sees them. Where their kinds are not defined in the cluster there are
// none. The status of BGPNodes is no news to anybody here.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock } from '#/cluster/clock.ts'
import { bgpConfigurationsPath, bgpNodesPath, bgpPeersPath } from '#/cluster/paths.ts'
import { Reflector, type ReflectorStatus } from '#/cluster/reflector.ts'
import { type Change } from '#/cluster/store.ts'
import { type Logger } from '#/lib/log.ts'
import {
  type BgpConfiguration,
  bgpConfigurationFrom,
  type BgpNode,
  bgpNodeOf,
  type BgpPeer,
  bgpPeerOf,
} from '#/model/bgp-objects.ts'
import { type SecretRef } from '#/model/bgp-sections.ts'
import { fieldsOf, type KubeObject } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { type Secrets } from '#/plan/bgp-passwords.ts'
import { SecretReader } from './secret-reader.ts'

export type BgpSnapshot = {
  readonly configuration?: BgpConfiguration
  /** Of all nodes, in no order. */
  readonly peers: readonly BgpPeer[]
  /** Of this node. */
  readonly bgpNode?: BgpNode
  readonly secrets: Secrets
  /** What in the objects cannot be used. */
  readonly problems: readonly Problem[]
}

export type BgpObjectsDeps = {
  readonly client: ApiClient
  /** The snapshot is another one. Called once for each object: plan later, not within. */
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
  readonly random?: () => number
}

export class BgpObjects implements AsyncDisposable {
  readonly #options: { readonly nodeName: string; readonly namespace: string }
  readonly #onChange: () => void
  readonly #configurations: Reflector<KubeObject>
  readonly #peers: Reflector<KubeObject>
  readonly #nodes: Reflector<KubeObject>
  readonly #secrets: SecretReader
  #snapshot: Omit<BgpSnapshot, 'secrets'> | undefined

  /** `namespace` is where Causeway is installed: Secrets are there unless an object says otherwise. */
  constructor(options: { readonly nodeName: string; readonly namespace: string }, deps: BgpObjectsDeps) {
    this.#options = options
    this.#onChange = deps.onChange
    const reflect = (path: string, fieldSelector?: string): Reflector<KubeObject> => {
      const selected = fieldSelector !== undefined && { fieldSelector }
      const reflector = new Reflector<KubeObject>({ path, mayBeUndefined: true, ...selected }, deps)
      reflector.subscribe((change) => this.#take(change))
      return reflector
    }
    this.#configurations = reflect(bgpConfigurationsPath())
    this.#peers = reflect(bgpPeersPath())
    // the status of every other node's is written again and again
    this.#nodes = reflect(bgpNodesPath(), `metadata.name=${options.nodeName}`)
    this.#secrets = new SecretReader(deps)
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start()
  }

  /** Whether all has been seen once; until then the snapshot has holes that mean nothing. Never goes back. */
  get isComplete(): boolean {
    return this.#reflectors.every(({ inSync }) => inSync)
  }

  get statuses(): readonly ReflectorStatus[] {
    return this.#reflectors.map(({ status }) => status)
  }

  get snapshot(): BgpSnapshot {
    this.#snapshot ??= this.#read()
    return { ...this.#snapshot, secrets: new Map(this.#secrets.secrets) }
  }

  /** The BGPNode of this node as it was last seen; undefined: there is none. */
  get ownObject(): KubeObject | undefined {
    return this.#nodes.objects.get(this.#options.nodeName)
  }

  /** Which Secrets the plan depends on (SpeakerPlan.wantedSecrets); what they hold comes with a change. */
  want(secrets: readonly SecretRef[]): void {
    this.#secrets.want(secrets)
  }

  get #reflectors(): readonly Reflector<KubeObject>[] {
    return [this.#configurations, this.#peers, this.#nodes]
  }

  #take(change: Change<KubeObject>): void {
    if (change.kind === 'modified' && specText(change.previous) === specText(change.object)) {
      // an annotation is the way to say that a Secret is another one
      if (!isStatusOnly(change)) this.#secrets.refresh()
      return
    }
    if (change.kind !== 'synced') {
      this.#snapshot = undefined
      this.#secrets.refresh()
    }
    this.#onChange()
  }

  #read(): Omit<BgpSnapshot, 'secrets'> {
    const { nodeName, namespace } = this.#options
    const { configuration, problems } = bgpConfigurationFrom(this.#configurations.objects.values(), namespace)
    const peers = [...this.#peers.objects.values()].map((object) => bgpPeerOf(object, namespace))
    const own = this.#nodes.objects.get(nodeName)
    const bgpNode = own && bgpNodeOf(own)
    return {
      ...(configuration && { configuration }),
      peers: peers.flatMap(({ peer }) => peer ?? []),
      ...(bgpNode && { bgpNode: bgpNode.node }),
      problems: [...problems, ...peers.flatMap((peer) => peer.problems), ...(bgpNode?.problems ?? [])],
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector[Symbol.asyncDispose]()))
    await this.#secrets[Symbol.asyncDispose]()
  }
}

function specText(object: KubeObject): string {
  return JSON.stringify(fieldsOf(object)['spec']) ?? ''
}

function isStatusOnly({ previous, object }: { readonly previous: KubeObject; readonly object: KubeObject }): boolean {
  return JSON.stringify(previous.metadata.annotations) === JSON.stringify(object.metadata.annotations)
}
