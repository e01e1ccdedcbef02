// Reads the settings that objects of the cluster hold (kind Routing, docs/routing.md). src/settings/precedence.ts decides which setting
// counts when a node's object, the cluster's objects and the agent's environment disagree.
import { isDeepStrictEqual } from 'node:util'
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock } from '#/cluster/clock.ts'
import { routingsPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { type Logger } from '#/lib/log.ts'
import { routingFrom } from '#/model/bgp-objects.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { type Routing } from '#/model/routing.ts'

export type ClusterSettingsDeps = {
  readonly client: ApiClient
  /** Called when the objects have changed, and when they are known for the first time. */
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
  readonly random?: () => number
}

export class ClusterSettings implements AsyncDisposable {
  readonly #routings: Reflector<KubeObject>
  #read: {
    readonly routing: Routing | undefined
    readonly datapath: DatapathName | undefined
    readonly problems: readonly Problem[]
  } = { routing: undefined, datapath: undefined, problems: [] }

  constructor(deps: ClusterSettingsDeps) {
    // a cluster whose API does not define the kind has no such objects
    this.#routings = new Reflector<KubeObject>({ path: routingsPath(), mayBeUndefined: true }, deps)
    this.#routings.subscribe(({ kind }) => {
      const { mode, datapath, problems } = routingFrom(this.#routings.objects.values())
      const read = { routing: mode, datapath, problems }
      // the status of these objects is written again and again
      if (kind === 'modified' && isDeepStrictEqual(read, this.#read)) return
      this.#read = read
      deps.onChange()
    })
  }

  start(): void {
    this.#routings.start()
  }

  /** Whether the objects have been listed once; stays true from then on. */
  get isKnown(): boolean {
    return this.#routings.inSync
  }

  /** The cluster's routing; undefined when no object sets it, or the objects are not known yet. */
  get routing(): Routing | undefined {
    return this.#read.routing
  }

  /** The cluster's datapath; undefined when no object sets it, or the objects are not known yet. */
  get datapath(): DatapathName | undefined {
    return this.#read.datapath
  }

  /** Problems of the objects: values that cannot be used. */
  get problems(): readonly Problem[] {
    return this.#read.problems
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#routings[Symbol.asyncDispose]()
  }
}
