// Keeps the BGPNode of this node as the speaker is: makes it where there is none, and writes its status when that is another one.
// Level-triggered, like NodePatcher: what should stand there is compared with what does. A cluster has as many writers as nodes, so
// what changes all the time, which is counts, is written seldom.
import { isDeepStrictEqual } from 'node:util'
import { Backoff } from '#/cluster/backoff.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, systemClock } from '#/cluster/clock.ts'
import { describe, isApiError } from '#/cluster/errors.ts'
import { type Outage } from '#/cluster/outage.ts'
import { bgpNodesPath, bgpNodeStatusPath } from '#/cluster/paths.ts'
import { type Logger } from '#/lib/log.ts'
import { fieldsOf, type KubeNode, type KubeObject } from '#/model/kubernetes.ts'
import { bgpNodeStatus, type BgpNodeStatus, type SpeakerReport, withoutCounts } from './node-status.ts'

/** How often the speaker is asked, and at most written. */
const lookMs = 5_000
/** Counts alone, and what somebody else wrote over it. */
const countsMs = 60_000
/** Thousands of agents see the same router go down in the same second. */
const jitter = 0.5

export type BgpStatusWriterDeps = {
  readonly client: Pick<ApiClient, 'create' | 'patch'>
  /** The BGPNode as it was last seen. */
  readonly live: () => KubeObject | undefined
  /** The Node object: the BGPNode goes when it goes. */
  readonly node: () => KubeNode | undefined
  /** Undefined: the node speaks no BGP. */
  readonly report: () => Promise<SpeakerReport | undefined>
  readonly log: Logger
  /** Whether the API answers; absent: a failed write is tried again after its pause alone. */
  readonly outage?: Pick<Outage, 'ended' | 'spreadMs'>
  readonly clock?: Clock
  readonly random?: () => number
}

export class BgpStatusWriter implements AsyncDisposable {
  readonly #deps: BgpStatusWriterDeps
  readonly #clock: Clock
  readonly #random: () => number
  readonly #backoff: Backoff
  readonly #stop = new AbortController()
  readonly #unsubscribe: (() => void) | undefined
  #cancel: (() => void) | undefined
  #looking: Promise<void> | undefined
  #written: { readonly status: BgpNodeStatus; readonly atMs: number } | undefined
  #lastError = ''

  constructor(deps: BgpStatusWriterDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? systemClock
    this.#random = deps.random ?? Math.random
    this.#backoff = new Backoff({ firstMs: lookMs, maxMs: 120_000 }, { random: this.#random })
    const { outage } = deps
    this.#unsubscribe = outage?.ended.subscribe(() => this.#endPause(outage.spreadMs()))
  }

  /** Begins in the background; never throws. To be called once the objects of this node are known. */
  start(): void {
    if (this.#looking === undefined && this.#cancel === undefined) this.#lookLater(0)
  }

  #lookLater(delayMs: number): void {
    if (this.#stop.signal.aborted) return
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#looking = this.#look()
    })
  }

  /** Ends the pause after a failed write: the API answers again. */
  #endPause(delayMs: number): void {
    if (this.#lastError === '' || this.#looking !== undefined) return
    this.#backoff.reset()
    this.#cancel?.()
    this.#lookLater(delayMs)
  }

  async #look(): Promise<void> {
    let delayMs = lookMs * (1 + jitter * this.#random())
    try {
      const { live, report } = this.#deps
      await this.#keep(await report(), live())
      this.#backoff.reset()
      this.#lastError = ''
    } catch (error) {
      delayMs = Math.max(delayMs, this.#backoff.next())
      const text = describe(error)
      if (text !== this.#lastError && !this.#stop.signal.aborted)
        this.#deps.log.warn('cannot write the BGPNode of this node', { error: text })
      this.#lastError = text
    }
    this.#looking = undefined
    this.#lookLater(delayMs)
  }

  async #keep(report: SpeakerReport | undefined, live: KubeObject | undefined): Promise<void> {
    if (live === undefined && report === undefined) return
    const node = this.#deps.node()
    if (node === undefined) return
    const status = bgpNodeStatus(report, live, this.#clock.wallMs())
    if (live !== undefined && !this.#isDue(status, fieldsOf(live)['status'])) return
    if (live === undefined) await this.#create(node)
    const { name } = node.metadata
    const { signal } = this.#stop
    // a merge patch takes away what is null, and replaces lists as a whole
    const body = { status: { routerID: null, asn: null, ...status } }
    await this.#deps.client.patch(bgpNodeStatusPath(name), body, 'merge', {}, { signal })
    this.#written = { status, atMs: this.#clock.monotonicMs() }
  }

  #isDue(status: BgpNodeStatus, live: unknown): boolean {
    if (isDeepStrictEqual(status, live)) return false
    const isFresh = this.#written !== undefined && this.#clock.monotonicMs() - this.#written.atMs < countsMs
    // a watch that lags, or an API that has fewer fields than we write, is no reason to write the same again and again
    return !(isFresh && isDeepStrictEqual(withoutCounts(status), withoutCounts(this.#written!.status)))
  }

  async #create({ metadata: { name, uid } }: KubeNode): Promise<void> {
    const owner = { apiVersion: 'v1', kind: 'Node', name, uid }
    const metadata = { name, ...(uid !== undefined && { ownerReferences: [owner] }) }
    const body = { apiVersion: 'causeway.dev/v1alpha1', kind: 'BGPNode', metadata, spec: {} }
    try {
      await this.#deps.client.create(bgpNodesPath(), body, { signal: this.#stop.signal })
    } catch (error) {
      // somebody else has made it, and the watch does not show it yet
      if (!isApiError(error, 409)) throw error
    }
  }

  /** Leaves what stands there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    this.#unsubscribe?.()
    this.#cancel?.()
    await this.#looking
  }
}
