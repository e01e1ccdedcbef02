// For tests: an API with one collection of nodes, and reflectors of it, all in the hands of the test.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { createLogger, type Level } from '#/lib/log.ts'
import type { KubeNode } from '#/model/kubernetes.ts'
import type { ApiClient } from '../client.ts'
import { clientFor } from '../connect.ts'
import { nodesPath } from '../paths.ts'
import { Reflector, type ReflectorOptions } from '../reflector.ts'
import type { Change } from '../store.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson } from './fake-api.ts'
import { eventually, ManualClock } from './manual-clock.ts'
import { timePasser } from './pass-time.ts'

export function node(name: string, resourceVersion: string): KubeNode {
  return { metadata: { name, uid: name, resourceVersion } }
}

/** One line of a watch. */
export function eventLine(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`
}

/** An API with one list and one open watch, both in the hands of the test. */
export class WatchApi implements AsyncDisposable {
  items: KubeNode[] = []
  version = '10'
  /** True when it has answered instead. */
  onList: (response: ServerResponse) => boolean = () => false
  onWatch: (response: ServerResponse, request: FakeRequest) => boolean = () => false
  readonly lists: FakeRequest[] = []
  readonly watches: FakeRequest[] = []
  #open: ServerResponse | undefined
  readonly #api: FakeApi
  readonly clock: ManualClock
  readonly told: string[] = []
  readonly logged: string[] = []
  readonly reflector: Reflector<KubeNode>

  readonly #make: () => Reflector<KubeNode>
  readonly passTime: (condition: () => boolean, what: string) => Promise<void>

  private constructor(
    api: FakeApi,
    options: { client: ApiClient; clock: ManualClock; random: () => number; level: Level } & Omit<
      ReflectorOptions,
      'path'
    >,
  ) {
    const { client, clock, random, level, ...rest } = options
    const log = createLogger({ level, write: (line) => this.logged.push(line), now: () => '' })
    this.#api = api
    this.clock = clock
    this.passTime = timePasser(client, clock)
    this.#make = () => new Reflector<KubeNode>({ path: nodesPath(), ...rest }, { client, log, clock, random })
    this.reflector = this.#make()
    this.reflector.subscribe((change) => this.told.push(tell(change)))
    api.handler = (request, response) => this.#serve(request, response)
  }

  static async start(
    options: Omit<ReflectorOptions, 'path'> = {},
    random = () => 0,
    level: Level = 'warn',
  ): Promise<WatchApi> {
    const api = await FakeApi.start(() => {})
    const clock = new ManualClock()
    const client = await clientFor(api.config, { clock, random })
    return new WatchApi(api, { client, clock, random, level, ...options })
  }

  /** One more reflector with the same client. */
  another(): Reflector<KubeNode> {
    return this.#make()
  }

  answerList(response: ServerResponse): void {
    sendJson(response, { kind: 'NodeList', items: this.items, metadata: { resourceVersion: this.version } })
  }

  get names(): string {
    return [...this.reflector.objects.values()]
      .map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`)
      .join(' ')
  }

  send(text: string): void {
    assert.ok(this.#open, 'there is an open watch')
    this.#open.write(text)
  }

  end(): void {
    this.#open?.end()
    this.#open = undefined
  }

  cut(): void {
    this.#open = undefined
    this.#api.cut()
  }

  async watching(count: number): Promise<void> {
    await eventually(
      () => this.watches.length === count && this.reflector.status.phase === 'watching',
      `watch ${count}`,
    )
  }

  async backoff(words: RegExp): Promise<void> {
    const { reflector } = this
    await eventually(
      () => reflector.status.phase === 'backoff' && words.test(reflector.status.lastError ?? ''),
      `backoff: ${words}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reflector[Symbol.asyncDispose]()
    await this.#api[Symbol.asyncDispose]()
  }

  #serve(request: FakeRequest, response: ServerResponse): void {
    if (isWatch(request)) {
      this.watches.push(request)
      if (this.onWatch(response, request)) return
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
      this.#open = response
      return
    }
    this.lists.push(request)
    if (this.onList(response)) return
    this.answerList(response)
  }
}

function tell(change: Change<KubeNode>): string {
  return change.kind === 'synced' ? 'synced' : `${change.kind} ${change.object.metadata.name}`
}
