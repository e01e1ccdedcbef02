// The Secrets that BGP sessions have their passwords from. Each is read by its name, with the right to get and no other: to watch
// one takes the right to list, and with that an agent could learn all passwords of the namespace. So a Secret that changes is seen
// when it is read again: on a timer, or at once when whoever changes it touches a BGP object too.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { describe, isApiError } from '#/cluster/errors.ts'
import { secretPath } from '#/cluster/paths.ts'
import { type Logger } from '#/lib/log.ts'
import { type SecretRef, secretKey } from '#/model/bgp-sections.ts'
import { fieldsOf, type KubeObject } from '#/model/kubernetes.ts'
import { type Secrets, type SecretState } from '#/plan/bgp-passwords.ts'

/** How often a Secret that was found is read again; not more often, because thousands of agents read the same one. */
const rereadMs = 300_000
/** How often one that was not found is: it keeps a session down. */
const retryMs = 15_000
/** Both times are made longer by up to this part of them, at random, so that agents do not read at the same moment. */
const jitter = 0.2

export type SecretReaderDeps = {
  readonly client: Pick<ApiClient, 'get'>
  readonly onChange: () => void
  readonly log: Logger
  readonly clock?: Clock
  /** A number in [0, 1). */
  readonly random?: () => number
}

type Name = Pick<SecretRef, 'namespace' | 'name'>

export class SecretReader implements AsyncDisposable {
  readonly #deps: SecretReaderDeps
  readonly #clock: Clock
  readonly #random: () => number
  readonly #stop = new AbortController()
  readonly #states = new Map<string, SecretState>()
  #wanted: ReadonlyMap<string, Name> = new Map()
  #cancel: (() => void) | undefined
  #reading: Promise<void> | undefined
  #isStale = false

  constructor(deps: SecretReaderDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? systemClock
    this.#random = deps.random ?? Math.random
  }

  /** What is known of those that are wanted. */
  get secrets(): Secrets {
    return this.#states
  }

  /** Which Secrets are wanted from now on; what is known of others is forgotten. */
  want(refs: readonly Name[]): void {
    const wanted = new Map(refs.map(({ namespace, name }) => [secretKey({ namespace, name }), { namespace, name }]))
    const isMore = [...wanted.keys()].some((key) => !this.#wanted.has(key))
    this.#wanted = wanted
    for (const key of this.#states.keys()) if (!wanted.has(key)) this.#states.delete(key)
    if (isMore) this.refresh()
  }

  /** Reads all that are wanted again, now. */
  refresh(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#stop.signal.aborted || this.#wanted.size === 0) return
    if (this.#reading === undefined) this.#reading = this.#readAll()
    else this.#isStale = true
  }

  async #readAll(): Promise<void> {
    do {
      this.#isStale = false
      for (const [key, name] of this.#wanted) await this.#read(key, name)
    } while (this.#isStale && !this.#stop.signal.aborted)
    this.#reading = undefined
    if (this.#stop.signal.aborted) return
    const isWhole = [...this.#wanted.keys()].every((key) => this.#states.get(key)?.kind === 'found')
    const delayMs = (isWhole ? rereadMs : retryMs) * (1 + jitter * this.#random())
    this.#cancel = this.#clock.after(delayMs, () => this.refresh())
  }

  async #read(key: string, { namespace, name }: Name): Promise<void> {
    const state = await this.#get(namespace, name)
    const known = this.#states.get(key)
    // meanwhile nobody may want it any more
    if (state === undefined || !this.#wanted.has(key) || isSame(known, state)) return
    this.#states.set(key, state)
    if (state.kind === 'missing') this.#deps.log.warn('no password', { secret: key, error: state.why })
    this.#deps.onChange()
  }

  /** Undefined: nothing was learned, and what is known stays. */
  async #get(namespace: string, name: string): Promise<SecretState | undefined> {
    try {
      const { signal } = this.#stop
      return { kind: 'found', data: textsOf(await this.#deps.client.get(secretPath(namespace, name), { signal })) }
    } catch (error) {
      if (isApiError(error, 404)) return { kind: 'missing', why: 'there is none of this name' }
      if (!isApiError(error, 403)) return undefined
      return { kind: 'missing', why: `agents may not read it (docs/bgp-objects.md has the Role): ${describe(error)}` }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    this.#cancel?.()
    await this.#reading
  }
}

/** The values that are text, decoded. */
function textsOf(secret: KubeObject): Record<string, string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const texts: Record<string, string> = {}
  for (const [key, value] of Object.entries(fieldsOf(fieldsOf(secret)['data']))) {
    if (typeof value !== 'string') continue
    try {
      texts[key] = decoder.decode(Buffer.from(value, 'base64'))
    } catch {
      // bytes that are no text can be no password
    }
  }
  return texts
}

function isSame(left: SecretState | undefined, right: SecretState): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}
