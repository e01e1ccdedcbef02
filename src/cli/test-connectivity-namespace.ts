// The namespace of a connectivity test: taken while nobody else has it, shown to be alive, removed with all that is in it.
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiClient } from '#/cluster/client.ts'
import { ApiError, describe, isApiError, isUnanswered } from '#/cluster/errors.ts'
import { namespacePath, namespacesPath, podPath, podsPath } from '#/cluster/paths.ts'
import { aliveAnnotation, holderAnnotation, namespaceObject, ownLabel } from '#/connectivity/objects.ts'
import {
  type Holder,
  holderName,
  holderText,
  isGoing,
  isHolderGone,
  isOwn,
  pulseOf,
  startedIn,
} from '#/connectivity/ownership.ts'
import { annotationsOf, type KubeObject, type Pod } from '#/model/kubernetes.ts'

const beatMs = 2_000
/** Several beats: a slow API is not taken for a test that is gone. */
const usualStillMs = 3 * beatMs
const pollMs = 250
/** Pods of nodes that do not answer are then deleted without them. */
const usualPatienceMs = 15_000
const goneMs = 60_000
/** An API server that is restarted is away for some seconds. */
const usualAwayMs = 30_000

/** Whether the same request may succeed in a moment. */
export function isPassing(error: unknown): boolean {
  return isUnanswered(error) || (error instanceof ApiError && (error.code === 429 || error.code >= 500))
}

/** A wait that is given up when `signal` aborts; rejects with its reason. */
async function pause(signal: AbortSignal | undefined): Promise<void> {
  await sleep(pollMs, undefined, signal && { signal }).catch(() => undefined)
  signal?.throwIfAborted()
}

/** Asks again for a while where the API is away. `ask` may be asked twice. */
export async function persist<T>(
  ask: () => Promise<T>,
  { signal, awayMs = usualAwayMs }: { readonly signal?: AbortSignal; readonly awayMs?: number } = {},
): Promise<T> {
  const endMs = performance.now() + awayMs
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isPassing(error) || performance.now() > endMs) throw error
    }
    await pause(signal)
  }
}

/** What the API refuses, in words that name the object. */
export class TestRefused extends Error {
  override name = 'TestRefused'
}

/** Why something could not be done to an object; rights are those of docs/connectivity.md. */
export function refused(what: string, error: unknown): Error {
  if (!(error instanceof ApiError)) return new TestRefused(`${what}: ${describe(error)}`, { cause: error })
  const { code, reason, detail } = error
  const rights =
    code === 403 && /cannot \w+ resource/.test(detail)
      ? '; docs/connectivity.md has the rights that the test needs'
      : ''
  return new TestRefused(`${what}: the API refuses it (${code} ${reason}): ${detail || 'without a word'}${rights}`)
}

function readOr(read: () => string): string {
  try {
    return read().trim()
  } catch {
    // no Linux
    return ''
  }
}

const startedOf = (pid: number): string | undefined =>
  startedIn(readOr(() => readFileSync(`/proc/${pid}/stat`, 'utf8')))

function ownHolder(): Holder {
  return {
    host: hostname(),
    boot: readOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    pidNamespace: readOr(() => readlinkSync('/proc/self/ns/pid')),
    pid: process.pid,
    started: startedOf(process.pid) ?? '',
  }
}

/** Rejects with the reason of `signal` when that aborts. */
async function found(client: ApiClient, name: string, calls: Partial<Calls> = {}): Promise<KubeObject | undefined> {
  const { signal } = calls
  try {
    return await persist(async () => client.get(namespacePath(name), signal && { signal }), calls)
  } catch (error) {
    signal?.throwIfAborted()
    if (isApiError(error, 404)) return undefined
    throw refused(`namespace/${name} cannot be read`, error)
  }
}

type Calls = {
  readonly say: (line: string) => void
  readonly signal: AbortSignal
  /** How long a namespace that nobody renews is watched before it counts as left over. */
  readonly stillMs?: number
  /** After it pods are deleted without their nodes. */
  readonly patienceMs?: number
  /** How long an API that does not answer is asked again. */
  readonly awayMs?: number
}

/** Deletes pods for whose end their nodes do not vouch. */
async function forcePods(
  client: ApiClient,
  namespace: string,
  { say, signal }: Pick<Calls, 'say'> & Partial<Calls>,
): Promise<void> {
  try {
    const { items } = await client.list<Pod>(podsPath(namespace))
    if (items.length > 0) say(`namespace/${namespace}: some pods do not end; they are deleted without their nodes`)
    for (const { metadata } of items) {
      signal?.throwIfAborted()
      try {
        await client.delete(podPath(namespace, metadata.name), { query: { gracePeriodSeconds: '0' } })
      } catch (error) {
        if (!isApiError(error, 404)) throw error
      }
    }
  } catch (error) {
    signal?.throwIfAborted()
    // their nodes may still end them
    say(refused(`pods of namespace/${namespace} cannot be deleted without their nodes`, error).message)
  }
}

/** Deletes the namespace with this uid, and waits until it is gone, or `signal` aborts: then it goes on without anybody who waits. */
export async function removeNamespace(
  client: ApiClient,
  { metadata: { name, uid } }: KubeObject,
  calls: Pick<Calls, 'say'> & Partial<Calls>,
): Promise<void> {
  const { signal, patienceMs = usualPatienceMs } = calls
  const startMs = performance.now()
  try {
    await persist(async () => client.delete(namespacePath(name), { body: { preconditions: { uid } } }), calls)
  } catch (error) {
    // somebody else has deleted it, and perhaps made another one
    if (!isApiError(error, 404) && !isApiError(error, 409)) throw refused(`namespace/${name} cannot be deleted`, error)
  }
  for (let isForced = false; ; await pause(signal)) {
    const left = await found(client, name, calls)
    if (left === undefined || left.metadata.uid !== uid) return
    const sinceMs = performance.now() - startMs
    if (!isForced && sinceMs >= patienceMs) {
      isForced = true
      await forcePods(client, name, calls)
    }
    if (sinceMs > goneMs)
      throw new TestRefused(
        `namespace/${name} is still being deleted after ${goneMs / 1000} s; kubectl get namespace ${name} -o yaml says in status.conditions what holds it`,
      )
  }
}

/** Whether its test still runs: its process is seen, or for a while it is watched whether somebody renews it. */
async function isInUse(client: ApiClient, namespace: KubeObject, calls: Calls): Promise<boolean> {
  const { signal, stillMs = usualStillMs } = calls
  const isGone = isHolderGone(namespace, ownHolder(), startedOf)
  if (isGone !== undefined) return !isGone
  const { name, uid } = namespace.metadata
  const endMs = performance.now() + stillMs
  while (performance.now() < endMs) {
    await pause(signal)
    const later = await found(client, name, calls)
    if (later === undefined || isGoing(later) || later.metadata.uid !== uid) return false
    if (pulseOf(later) !== pulseOf(namespace)) return true
  }
  return false
}

/** Removes what an earlier test left; rejects where another one runs, or where the namespace is not this command's. True when there was something. */
export async function removeLeftover(client: ApiClient, name: string, calls: Calls): Promise<boolean> {
  const namespace = await found(client, name, calls)
  if (namespace === undefined) return false
  if (!isOwn(namespace))
    throw new TestRefused(
      `namespace/${name} is there and is not of this command: it has no label ${ownLabel.name}=${ownLabel.value}; choose another one with --namespace NAME`,
    )
  if (!isGoing(namespace) && (await isInUse(client, namespace, calls)))
    throw new TestRefused(
      `namespace/${name}: a connectivity test of ${holderName(namespace)} runs; wait until it is over, or choose another namespace with --namespace NAME`,
    )
  calls.say(`namespace/${name} was left by an earlier test: it is removed first`)
  await removeNamespace(client, namespace, calls)
  return true
}

/** A namespace that this process holds. */
export class TestNamespace {
  readonly name: string
  readonly #client: ApiClient
  readonly #object: KubeObject
  readonly #timer: NodeJS.Timeout
  #beats = 0

  constructor(client: ApiClient, object: KubeObject) {
    this.name = object.metadata.name
    this.#client = client
    this.#object = object
    this.#timer = setInterval(() => void this.#beat(), beatMs)
  }

  async #beat(): Promise<void> {
    const metadata = { uid: this.#object.metadata.uid, annotations: { [aliveAnnotation]: String(++this.#beats) } }
    try {
      await this.#client.patch(namespacePath(this.name), { metadata }, 'merge', {}, { timeoutMs: beatMs })
    } catch {
      // the next one may succeed, and what it is for is over when the namespace is gone
    }
  }

  /** Whether it is gone. Never rejects: what was tested is to be told also where the API goes away before the end. */
  async remove(say: (line: string) => void, options: Pick<Calls, 'awayMs' | 'patienceMs'> = {}): Promise<boolean> {
    clearInterval(this.#timer)
    try {
      await removeNamespace(this.#client, this.#object, { say, ...options })
      return true
    } catch (error) {
      say(`${describe(error)}; namespace/${this.name} is left: the next test removes it, as --clean does`)
      return false
    }
  }
}

/** Makes the namespace, once nothing of an earlier test is left. */
export async function takeNamespace(client: ApiClient, name: string, calls: Calls): Promise<TestNamespace> {
  const annotations = { [holderAnnotation]: holderText(ownHolder()), [aliveAnnotation]: '0' }
  for (let isSecond = false; ; isSecond = true) {
    await removeLeftover(client, name, calls)
    calls.signal.throwIfAborted()
    try {
      return new TestNamespace(client, await client.create(namespacesPath(), namespaceObject(name, annotations)))
    } catch (error) {
      // another test was quicker, which is found to run in the next turn
      if (isApiError(error, 409) && !isSecond) continue
      // it may be made though nobody said so
      const made = isPassing(error) ? await found(client, name, calls) : undefined
      if (made !== undefined && annotationsOf(made)[holderAnnotation] === annotations[holderAnnotation])
        return new TestNamespace(client, made)
      if (isPassing(error) && !isSecond) continue
      throw refused(`namespace/${name} cannot be made`, error)
    }
  }
}
