// All objects: in memory for reading, and on disk before a write is acknowledged. Everything is synchronous, so nothing comes between a
// read and the write that follows from it. One counter numbers all writes and gives the resourceVersion of objects, lists and watches.
import { parseJson } from '../json.ts'
import { kubeObject, withMeta, type KubeObject } from '../objects.ts'
import { Bucket, type Indexes } from './bucket.ts'
import { Database } from './database.ts'
import type { Change } from './history.ts'

export type Entry = {
  readonly key: string
  readonly object: KubeObject
  readonly revision: number
  /** The object as JSON text: encoded once for disk, lists and watches. */
  readonly json: string
}

/** Called for every write, with its bucket. */
export type StoreListener = (bucket: string, change: Change) => void

export class Store implements Disposable {
  readonly #database: Database
  readonly #buckets = new Map<string, Bucket>()
  readonly #indexes: Readonly<Record<string, Indexes>>
  readonly #listeners = new Set<StoreListener>()
  readonly #bootRevision: number
  #revision: number

  /** `indexes` gives each bucket's indexes besides the one by namespace. Throws StorageError. */
  constructor(options: { stateDir: string; indexes: Readonly<Record<string, Indexes>> }) {
    this.#indexes = options.indexes
    this.#database = new Database(options.stateDir)
    this.#revision = this.#database.revision
    this.#bootRevision = this.#revision
    for (const { bucket, key, revision, json } of this.#database.rows()) {
      this.bucket(bucket).set(key, { key, revision, json, object: kubeObject(parseJson(json)) })
    }
  }

  get revision(): number {
    return this.#revision
  }

  bucket(name: string): Bucket {
    let bucket = this.#buckets.get(name)
    if (bucket === undefined) {
      // changes from before this process started are not kept
      bucket = new Bucket(this.#bootRevision, this.#indexes[name] ?? {})
      this.#buckets.set(name, bucket)
    }
    return bucket
  }

  bucketNames(): readonly string[] {
    return [...this.#buckets.keys()]
  }

  /** Stores an object under the next revision and returns it with that resourceVersion. */
  put(bucketName: string, key: string, object: KubeObject): KubeObject {
    const revision = this.#revision + 1
    const stored = withMeta(object, { resourceVersion: String(revision) })
    const entry: Entry = { key, object: stored, revision, json: JSON.stringify(stored) }
    this.#commit(bucketName, key, revision, entry)
    return stored
  }

  /** Removes an object; returns its last state with the resourceVersion of the removal. */
  remove(bucketName: string, key: string): KubeObject | undefined {
    const before = this.bucket(bucketName).get(key)
    if (before === undefined) return undefined
    const revision = this.#revision + 1
    this.#commit(bucketName, key, revision, undefined)
    return withMeta(before.object, { resourceVersion: String(revision) })
  }

  /** Calls `listener` for every write until the returned function is called. */
  listen(listener: StoreListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #commit(bucketName: string, key: string, revision: number, after: Entry | undefined): void {
    const bucket = this.bucket(bucketName)
    const before = bucket.get(key)
    this.#database.write(bucketName, key, revision, after?.json)
    this.#revision = revision
    bucket.set(key, after)
    const change: Change = { revision, before, after, encoded: new Map() }
    bucket.history.push(change)
    for (const listener of bucket.listeners) listener(change)
    for (const listener of this.#listeners) listener(bucketName, change)
  }

  [Symbol.dispose](): void {
    this.#database[Symbol.dispose]()
  }
}
