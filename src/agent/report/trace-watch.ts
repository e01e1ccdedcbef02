// The operation that tells where the packets of a trace are seen on this node. The kernel is observed only while somebody asks.
import { statSync } from 'node:fs'
import { type SightingReport, traceLimits, type TraceWatchLine, type TraceWatchRequest } from '#/api/schemas/trace.ts'
import { forgetPackets } from '#/kernel/trace/forget.ts'
import { Observer, type Probe } from '#/kernel/trace/observer.ts'
import { type Sighting } from '#/kernel/trace/sighting.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { withoutPayload } from '#/trace/bytes.ts'
import { trackedPackets } from '#/trace/tracked.ts'
import { monotonicOffsetMs, wallClockMs } from './event-clock.ts'
import { type Handlers, type HttpRefusal, type LineWriter, type StreamAnswer } from './http-api.ts'
import { type TracedPod, type TraceSources } from './trace-send.ts'

const defaultSeconds = 10
/** How often is looked whether pods have come, and whether something was not told. */
const checkMs = 500
const ownNamespace = '/proc/thread-self/ns/net'

export type TraceWatchDeps = {
  readonly sources: TraceSources
  readonly vxlanPort: () => number
  readonly log: Logger
}

/** Which pod is in a namespace, and which one a device of the node's own leads to. */
class Places {
  readonly own = statSync(ownNamespace).ino
  readonly #byNetns = new Map<number, TracedPod>()
  readonly #byDevice = new Map<string, string>()
  readonly #known = new Set<string>()

  /** Takes up the pods that have come. */
  update({ endpoints, netnsOf }: TraceSources): void {
    for (const endpoint of endpoints()) {
      const key = `${endpoint.netns} ${endpoint.hostDevice}`
      if (this.#known.has(key)) continue
      using netns = netnsOf(endpoint)
      // its namespace may come yet
      if (netns === undefined) continue
      this.#known.add(key)
      this.#byNetns.set(netns.inode, endpoint)
      this.#byDevice.set(endpoint.hostDevice, endpoint.pod)
    }
  }

  get namespaces(): number[] {
    return [this.own, ...this.#byNetns.keys()]
  }

  endpointIn(netns: number): TracedPod | undefined {
    return this.#byNetns.get(netns)
  }

  podBehind(device: string): string | undefined {
    return this.#byDevice.get(device)
  }
}

function probeOf({ protocol, cookie, seq }: TraceWatchRequest): Probe | string {
  if (protocol === 'tcp') return seq === undefined ? 'seq: tcp needs it' : { protocol, seq: Number(seq) }
  return cookie === undefined ? `cookie: ${protocol} needs it` : { protocol, cookie: Uint8Array.fromHex(cookie) }
}

function told(sighting: Sighting, places: Places, offsetMs: number): SightingReport {
  const { timeNs, place, role, skb, netns, device, lengthBytes, startsAt, bytes, mark, hasPartialChecksum, drop } =
    sighting
  const pod = places.endpointIn(netns)?.pod
  const devicePod = device === undefined || pod !== undefined ? undefined : places.podBehind(device.name)
  return {
    timeMs: wallClockMs(timeNs, offsetMs),
    place,
    role,
    ...(pod !== undefined && { pod }),
    ...(device && { device: device.name }),
    ...(devicePod !== undefined && { devicePod }),
    lengthBytes,
    skb: skb.toString(16),
    ...(mark !== 0 && { mark }),
    ...(hasPartialChecksum && { hasPartialChecksum }),
    startsAt,
    bytes: withoutPayload(bytes, startsAt).toHex(),
    ...(drop && { drop }),
  }
}

/** Removes what the packets of a trace have left in connection tracking, in each namespace that they came through. */
function forget(sightings: readonly Sighting[], places: Places, { netnsOf }: TraceSources): void {
  const byNetns = Map.groupBy(sightings, ({ netns }) => netns)
  for (const [inode, seen] of byNetns) {
    const packets = trackedPackets(seen.map(({ bytes, startsAt }) => ({ bytes: bytes.toHex(), startsAt })))
    const endpoint = places.endpointIn(inode)
    if (endpoint === undefined) {
      if (inode === places.own) forgetPackets(packets)
      continue
    }
    using netns = netnsOf(endpoint)
    if (netns?.inode === inode) forgetPackets(packets, netns)
  }
}

/** What several watches share: the programs cost each packet of the node time, and once is enough. */
class SharedObserver {
  #opened: Promise<Observer> | undefined
  users = 0

  /** Every call that resolves has to be followed by `release`. Rejects with BpfError. */
  async acquire(open: () => Promise<Observer>): Promise<Observer> {
    this.users++
    try {
      return await (this.#opened ??= open())
    } catch (error) {
      this.release()
      throw error
    }
  }

  release(): void {
    if (--this.users > 0) return
    const opened = this.#opened
    this.#opened = undefined
    // one that could not be opened has told so to who asked for it
    opened?.then(
      (observer) => observer[Symbol.dispose](),
      () => {},
    )
  }
}

export class TraceWatch {
  readonly #deps: TraceWatchDeps
  readonly #shared = new SharedObserver()

  constructor(deps: TraceWatchDeps) {
    this.#deps = deps
  }

  get handlers(): Pick<Handlers, 'traceWatch'> {
    return { traceWatch: (wish) => this.#answer(wish) }
  }

  #answer(wish: TraceWatchRequest): StreamAnswer<TraceWatchLine> | HttpRefusal {
    const probe = probeOf(wish)
    if (typeof probe === 'string') return { status: 400, body: `${probe}\n` }
    if (this.#shared.users >= traceLimits.watchers)
      return { status: 429, body: `${traceLimits.watchers} traces watch already, and no more may at once\n` }
    return { status: 200, stream: (out) => this.#serve(probe, wish, out) }
  }

  async #serve(probe: Probe, wish: TraceWatchRequest, out: LineWriter<TraceWatchLine>): Promise<void> {
    const { sources, vxlanPort } = this.#deps
    const places = new Places()
    places.update(sources)
    let observer: Observer
    try {
      observer = await this.#shared.acquire(() =>
        Observer.open({ vxlanPort: vxlanPort(), namespaces: places.namespaces }),
      )
    } catch (error) {
      out.write({ kind: 'end', end: `this node cannot observe packets: ${messageOf(error)}` })
      return
    }
    const sightings: Sighting[] = []
    try {
      const end = await this.#follow(observer, { probe, places, sightings }, wish, out)
      if (end !== undefined) out.write({ kind: 'end', end })
    } catch (error) {
      out.write({ kind: 'end', end: messageOf(error) })
    } finally {
      this.#shared.release()
      this.#forget(sightings, places)
    }
  }

  /** Resolves with why it ends; with undefined when the reader is gone. */
  async #follow(
    observer: Observer,
    { probe, places, sightings }: { probe: Probe; places: Places; sightings: Sighting[] },
    { seconds = String(defaultSeconds) }: TraceWatchRequest,
    { write, isBehind, signal }: LineWriter<TraceWatchLine>,
  ): Promise<string | undefined> {
    const { sources } = this.#deps
    const { promise: ended, resolve: end } = Promise.withResolvers<string | undefined>()
    const offsetMs = monotonicOffsetMs()
    let [unwritten, lost] = [0, 0]
    observer.addNamespaces(places.namespaces)
    using followed = observer.follow(probe, (sighting) => {
      sightings.push(sighting)
      if (isBehind()) unwritten++
      else write({ kind: 'sighting', sighting: told(sighting, places, offsetMs) })
    })
    const tellLost = (): void => {
      const now = unwritten + followed.lost
      if (now > lost) write({ kind: 'lost', lost: now - lost })
      lost = now
    }
    const check = setInterval(() => {
      try {
        places.update(sources)
        observer.addNamespaces(places.namespaces)
        if (!isBehind()) tellLost()
      } catch (error) {
        end(messageOf(error))
      }
    }, checkMs)
    const limit = setTimeout(() => end(`${seconds} s are over`), Number(seconds) * 1000)
    signal.addEventListener('abort', () => end(undefined), { once: true })
    if (signal.aborted) end(undefined)
    write({ kind: 'ready', ready: { node: sources.nodeName, nowMs: Date.now(), kernel: observer.kernel } })
    try {
      const why = await ended
      if (why !== undefined) tellLost()
      return why
    } finally {
      clearInterval(check)
      clearTimeout(limit)
    }
  }

  #forget(sightings: readonly Sighting[], places: Places): void {
    try {
      forget(sightings, places, this.#deps.sources)
    } catch (error) {
      // they end by themselves, within two minutes
      this.#deps.log.warn('the entries of connection tracking that a trace made were not removed', {
        error: messageOf(error),
      })
    }
  }
}
