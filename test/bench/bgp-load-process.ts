// All neighbours of a speaker under load, in one process in its namespace: opens their sessions, announces prepared UPDATEs, and
// notes when the last of them knows every prefix. It has to be cheaper than any speaker, so it reads as little of what it gets as it
// can: prefixes are numbered /24s, and only their numbers are looked at.
import { connect, type Socket } from 'node:net'
import {
  attributes,
  keepalive,
  keepaliveType,
  open,
  openType,
  update,
  updateType,
} from '../interop/bgp/raw-messages.ts'
import type { LoadPeer } from './bgp-speakers.ts'
import { monotonicMs } from './clock.ts'

export type LoadCommand =
  /** Opens the sessions of these neighbours. Answers when the last one is established. */
  | { readonly op: 'establish'; readonly target: string; readonly peers: readonly LoadPeer[] }
  /** The first `senders` announce `each` prefixes; answers when each of the `receivers` (indexes) has all of the others. */
  | { readonly op: 'announce'; readonly senders: number; readonly each: number; readonly receivers: readonly number[] }
  /** The first announces one more prefix, or withdraws it; answers when all others know. */
  | { readonly op: 'change'; readonly isThere: boolean }

export type LoadAnswer = { readonly elapsedMs: number; readonly cpuMs: number }

const firstPrefix = 16 << 24
const prefixLength = 24
const headerBytes = 19
const perMessage = 500
const retryMs = 20
/** BIRD listens with a backlog of 8: what goes beyond waits for the kernel's retransmissions. */
const connectConcurrency = 8

/** Number of the prefix that 'change' is about: beyond all others. */
const changing = 0xf_fff0

function prefixOf(number: number): string {
  const value = firstPrefix + number * 256
  return `${value >>> 24}.${(value >>> 16) & 0xff}.${(value >>> 8) & 0xff}.0/${prefixLength}`
}

class Session {
  readonly peer: LoadPeer
  readonly #onChange: (session: Session, number: number, isThere: boolean) => void
  readonly established = Promise.withResolvers<void>()
  #socket: Socket | undefined
  #rest: Buffer | undefined

  constructor(target: string, peer: LoadPeer, onChange: (session: Session, number: number, isThere: boolean) => void) {
    this.peer = peer
    this.#onChange = onChange
    this.#connect(target)
  }

  /** Again and again, until it is established: the speaker may not be there yet. */
  #connect(target: string): void {
    const socket = connect({ host: target, port: 179, localAddress: this.peer.addr, noDelay: true })
    this.#socket = socket
    this.#rest = undefined
    socket.on('connect', () => socket.write(open({ asn: this.peer.asn, routerId: this.peer.addr })))
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => {})
    socket.on('close', () => setTimeout(() => this.#connect(target), retryMs))
  }

  write(bytes: Buffer): void {
    this.#socket!.write(bytes)
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= headerBytes) {
      const end = at + ((bytes[at + 16]! << 8) | bytes[at + 17]!)
      if (end > bytes.length) break
      const type = bytes[at + 18]!
      if (type === updateType) this.#readUpdate(bytes, at + headerBytes, end)
      else if (type === openType) this.write(keepalive)
      else if (type === keepaliveType) {
        this.established.resolve()
        this.write(keepalive)
      }
      at = end
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at)
  }

  #readUpdate(bytes: Buffer, start: number, end: number): void {
    const withdrawnEnd = start + 2 + ((bytes[start]! << 8) | bytes[start + 1]!)
    const attributesEnd = withdrawnEnd + 2 + ((bytes[withdrawnEnd]! << 8) | bytes[withdrawnEnd + 1]!)
    this.#readPrefixes(bytes, start + 2, withdrawnEnd, false)
    // GoBGP may write IPv4 into MP attributes; none of these speakers does towards a session of IPv4 only
    this.#readPrefixes(bytes, attributesEnd, end, true)
  }

  #readPrefixes(bytes: Buffer, start: number, end: number, isThere: boolean): void {
    for (let at = start; at < end; at += 1 + ((bytes[at]! + 7) >> 3)) {
      if (bytes[at] !== prefixLength) continue
      const value = (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
      this.#onChange(this, value - (firstPrefix >>> 8), isThere)
    }
  }
}

class Load {
  readonly #sessions: Session[] = []
  /** What each receiver has, a byte for each prefix; and how many it lacks. */
  readonly #known = new Map<Session, Uint8Array>()
  #missing = 0
  #done: (() => void) | undefined
  #changed: { readonly isThere: boolean; readonly waiting: Set<Session> } | undefined

  async establish(target: string, peers: readonly LoadPeer[]): Promise<void> {
    const queue = peers.values()
    const worker = async (): Promise<void> => {
      for (const peer of queue) {
        const session = new Session(target, peer, this.#onPrefix)
        this.#sessions.push(session)
        await session.established.promise
      }
    }
    await Promise.all(Array.from({ length: connectConcurrency }, worker))
    // the order in which they came up is not that of their numbers
    this.#sessions.sort((a, b) => a.peer.asn - b.peer.asn)
  }

  readonly #onPrefix = (session: Session, number: number, isThere: boolean): void => {
    if (number === changing) {
      const changed = this.#changed
      if (changed === undefined || changed.isThere !== isThere) return
      changed.waiting.delete(session)
      if (changed.waiting.size === 0) this.#done?.()
      return
    }
    const known = this.#known.get(session)
    if (known === undefined || !isThere || known[number] !== 0) return
    known[number] = 1
    if (--this.#missing === 0) this.#done?.()
  }

  /** UPDATEs of one sender, all with the same path. */
  #messages(sender: Session, first: number, count: number): Buffer {
    const { addr, asn } = sender.peer
    const messages: Buffer[] = []
    for (let at = 0; at < count; at += perMessage) {
      const numbers = Array.from({ length: Math.min(perMessage, count - at) }, (_, index) => first + at + index)
      const path = [attributes.origin(0), attributes.asPath([asn, 65_000]), attributes.nextHop(addr)]
      messages.push(update({ attributes: path, announced: numbers.map(prefixOf) }))
    }
    return Buffer.concat(messages)
  }

  /** Returns when the first byte was written. */
  async announce(senders: number, each: number, receivers: readonly number[]): Promise<number> {
    const prepared = this.#sessions
      .slice(0, senders)
      .map((sender, index) => ({ sender, bytes: this.#messages(sender, index * each, each) }))
    for (const index of receivers) {
      const known = new Uint8Array(senders * each)
      // nobody is told of its own
      if (index < senders) known.fill(2, index * each, (index + 1) * each)
      this.#known.set(this.#sessions[index]!, known)
      this.#missing += known.filter((state) => state === 0).length
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#done = resolve
    const startedMs = monotonicMs()
    for (const { sender, bytes } of prepared) sender.write(bytes)
    await promise
    return startedMs
  }

  async change(isThere: boolean): Promise<number> {
    const [sender, ...others] = this.#sessions
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#done = resolve
    this.#changed = { isThere, waiting: new Set(others) }
    const bytes = isThere ? this.#messages(sender!, changing, 1) : update({ withdrawn: [prefixOf(changing)] })
    const startedMs = monotonicMs()
    sender!.write(bytes)
    await promise
    return startedMs
  }
}

const load = new Load()

async function obey(command: LoadCommand): Promise<void> {
  const before = process.cpuUsage()
  let startedMs = monotonicMs()
  if (command.op === 'establish') await load.establish(command.target, command.peers)
  else if (command.op === 'announce') startedMs = await load.announce(command.senders, command.each, command.receivers)
  else startedMs = await load.change(command.isThere)
  const elapsedMs = monotonicMs() - startedMs
  const { user, system } = process.cpuUsage(before)
  const answer: LoadAnswer = { elapsedMs, cpuMs: (user + system) / 1000 }
  process.send!(answer)
}

process.on('message', (command: LoadCommand) => void obey(command))
process.on('disconnect', () => process.exit())
process.send!('ready')
