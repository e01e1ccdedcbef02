// What the cluster's own objects say of how Causeway is to work (kind Routing, docs/routing.md), for all who need it: routing, BGP, and
// whatever asks for a setting of the cluster later. Which of several sayings counts is decided in src/settings/precedence.ts.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock } from '#/cluster/clock.ts'
import { routingsPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { type Logger } from '#/lib/log.ts'
import { routingFrom } from '#/model/bgp-objects.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { type Routing } from '#/model/routing.ts'

export type ClusterSettingsDeps = {
  readonly client: ApiClient
  /** What the objects say is another, or is known for the first time. */
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
  readonly random?: () => number
}

export class ClusterSettings implements AsyncDisposable {
  readonly #routings: Reflector<KubeObject>
  #read: { readonly routing: Routing | undefined; readonly problems: readonly Problem[] } = {
    routing: undefined,
    problems: [],
  }

  constructor(deps: ClusterSettingsDeps) {
    // where the kind is not defined there are no objects of it
    this.#routings = new Reflector<KubeObject>({ path: routingsPath(), mayBeUndefined: true }, deps)
    this.#routings.subscribe(() => {
      const { mode, problems } = routingFrom(this.#routings.objects.values())
      this.#read = { routing: mode, problems }
      deps.onChange()
    })
  }

  start(): void {
    this.#routings.start()
  }

  /** Whether the objects have been seen once. Never goes back. */
  get isKnown(): boolean {
    return this.#routings.inSync
  }

  /** Undefined: the cluster does not say, or is not known. */
  get routing(): Routing | undefined {
    return this.#read.routing
  }

  /** What in the objects cannot be used. */
  get problems(): readonly Problem[] {
    return this.#read.problems
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#routings[Symbol.asyncDispose]()
  }
}
