// For tests: an API with whole collections, each with its list and its open watches, in the hands of the test; it can be away.
import type { ServerResponse } from 'node:http'
import { keyOf, type KubeObject } from '#/model/kubernetes.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from './fake-api.ts'

type Collection = {
  readonly objects: Map<string, KubeObject>
  readonly watches: Set<ServerResponse>
  /** The HTTP status that lists and watches get instead. */
  refusal?: { readonly code: number; readonly reason: string }
}

export class CollectionsApi implements AsyncDisposable {
  readonly #collections = new Map<string, Collection>()
  #api: FakeApi
  #version = 100
  isAway = false

  private constructor(api: FakeApi) {
    this.#api = api
    api.handler = (request, response) => this.#serve(request, response)
  }

  static async start(options: { fd?: number } = {}): Promise<CollectionsApi> {
    return new CollectionsApi(await FakeApi.start(() => {}, options))
  }

  get config(): FakeApi['config'] {
    return this.#api.config
  }

  #collection(path: string): Collection {
    const known = this.#collections.get(path)
    if (known) return known
    const made: Collection = { objects: new Map(), watches: new Set() }
    this.#collections.set(path, made)
    return made
  }

  /** Adds an object, or replaces the one of its name; a uid is given where it has none. */
  put(path: string, object: KubeObject): void {
    const { objects, watches } = this.#collection(path)
    const key = keyOf(object)
    const before = objects.get(key)
    const uid = object.metadata.uid ?? before?.metadata.uid ?? `uid of ${key}`
    const told = { ...object, metadata: { ...object.metadata, uid, resourceVersion: String(++this.#version) } }
    objects.set(key, told)
    this.#tell(watches, before?.metadata.uid === uid ? 'MODIFIED' : 'ADDED', told)
  }

  remove(path: string, key: string): void {
    const { objects, watches } = this.#collection(path)
    const before = objects.get(key)
    objects.delete(key)
    if (before) this.#tell(watches, 'DELETED', before)
  }

  #tell(watches: Iterable<ServerResponse>, type: string, object: KubeObject): void {
    if (this.isAway) return
    for (const watch of watches) watch.write(`${JSON.stringify({ type, object })}\n`)
  }

  refuse(path: string, code: number, reason: string): void {
    this.#collection(path).refusal = { code, reason }
  }

  allow(path: string): void {
    delete this.#collection(path).refusal
  }

  /** The API answers nobody any more, until `comeBack`. What changes meanwhile is in the next lists. */
  goAway(): void {
    this.isAway = true
    this.#api.cut()
  }

  comeBack(): void {
    this.isAway = false
  }

  #serve(request: FakeRequest, response: ServerResponse): void {
    if (this.isAway) return void request.socket.destroy()
    const collection = this.#collection(request.path)
    const { objects, watches, refusal } = collection
    if (refusal) return sendStatus(response, refusal.code, refusal.reason)
    if (!isWatch(request))
      return sendJson(response, {
        kind: 'List',
        items: [...objects.values()],
        metadata: { resourceVersion: String(this.#version) },
      })
    if (Number(request.query.get('resourceVersion')) < this.#version) return sendStatus(response, 410, 'Expired')
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    watches.add(response)
    response.on('close', () => watches.delete(response))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api[Symbol.asyncDispose]()
  }
}
