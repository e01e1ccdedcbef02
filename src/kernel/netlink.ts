// A netlink client: requests, batches and dumps. Every error carries the kernel's own explanation.
import { setImmediate } from 'node:timers/promises'
import { Writer } from '#/lib/bytes.ts'
import { InOrder } from '#/lib/in-order.ts'
import { NETLINK_ROUTE, RequestSocket } from '#/sys/netlink-socket.ts'
import { type Netns } from '#/sys/netns.ts'
import { errnoName } from '#/sys/errno.ts'
import { SysError } from '#/sys/libc.ts'
import {
  type Ack,
  decodeAck,
  decodeMessages,
  encodeMessage,
  headerBytes,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  type Request,
} from '#/wire/netlink/message.ts'

/** The kernel refused. `code` is the errno's name, `explanation` the extended acknowledgement's text where it gave one. */
export class KernelError extends Error {
  override name = 'KernelError'
  readonly code: string
  readonly explanation: string | undefined

  constructor(operation: string, errno: number, explanation?: string) {
    super(`${operation}: ${errnoName(errno)}${explanation ? `: ${explanation}` : ''}`)
    this.code = errnoName(errno)
    this.explanation = explanation
  }
}

/** Whether the kernel refused because there is no such device (any more). */
export function isNoDevice(error: unknown): boolean {
  return error instanceof KernelError && error.code === 'ENODEV'
}

/** A request and a text that tells a reader what it does, for errors: "route add 10.244.2.0/24 via 10.244.2.0 dev cw-vxlan". */
export type Operation = {
  readonly what: string
  readonly type: number
  readonly flags?: number
  readonly payload: Uint8Array
  /** Its failure is no news and is not reported: mostly what it is to delete is not there. */
  readonly mayFail?: true
}

type Skips = (payload: Uint8Array, kept: number) => boolean

/** Most messages in one system call: with more, the event loop would stand still for more than a few milliseconds. */
const batchSize = 64
const dumpAttempts = 10

/** The messages that begin and end a transaction (include/uapi/linux/netfilter/nfnetlink.h). */
const NFNL_MSG_BATCH_BEGIN = 0x10
const NFNL_MSG_BATCH_END = 0x11

/** The buffer for requests: each is handed to the kernel before the next one is written. */
const requestBuffer = new Writer(4096)

/** One socket, with sequence numbers that tell answers from those to earlier requests. Takes one request at a time. */
export class Channel implements Disposable {
  readonly #socket: RequestSocket
  #sequence = 0

  constructor(socket: RequestSocket) {
    this.#socket = socket
  }

  get portId(): number {
    return this.#socket.portId
  }

  /** Opens another channel in the same namespace. */
  sibling(): Channel {
    return new Channel(this.#socket.sibling())
  }

  /** Returns the sequence number of the first request. `into` is a buffer of the caller's, for unusually large requests. */
  send(requests: readonly Request[], into: Writer = requestBuffer): number {
    const first = this.#encode(requests, into)
    this.#socket.send(into.view())
    return first
  }

  /** Sends as `send` does, but on another thread: for requests on which the kernel works for long before the call returns. */
  async sendAside(requests: readonly Request[]): Promise<number> {
    const first = this.#encode(requests, requestBuffer)
    await this.#socket.sendAside(requestBuffer.toBytes())
    return first
  }

  #encode(requests: readonly Request[], into: Writer): number {
    const first = this.#sequence + 1
    into.clear()
    for (const request of requests) encodeMessage(request, ++this.#sequence, into)
    return first
  }

  receive(): Iterable<Message> {
    return decodeMessages(this.#socket.receive())
  }

  /** The outcomes of operations that were sent with sequence numbers from `first` on, the last one with a wish for an acknowledgement. */
  acknowledgements(operations: readonly Operation[], first: number): (KernelError | undefined)[] {
    const results: (KernelError | undefined)[] = Array.from({ length: operations.length })
    for (let isDone = operations.length === 0; !isDone;) {
      for (const message of this.receive()) {
        const index = message.sequence - first
        const operation = operations[index]
        // skip late answers to an earlier request that was given up
        if (message.type !== NLMSG_ERROR || operation === undefined) continue
        const { errno, explanation } = decodeAck(message)
        if (errno !== 0 && operation.mayFail !== true)
          results[index] = new KernelError(operation.what, errno, explanation)
        isDone ||= index === operations.length - 1
      }
    }
    return results
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }
}

/**
 * A client that may be asked anything at any time. Dumps that are read in turns use a second socket, opened for the first of them, and wait
 * for one another; so synchronous requests in between find no answers but their own.
 */
export class Netlink implements Disposable {
  readonly #channel: Channel
  /** The socket for dumps read in turns. It changes nothing, so no notification ever names its port id. */
  #dumps: Channel | undefined
  readonly #dumpOrder = new InOrder()
  #isClosed = false

  /** Opens the client in the namespace of the calling thread, or in the one given. `isBrief`: it is for a few requests only. */
  constructor(protocol: number = NETLINK_ROUTE, netns?: Netns, isBrief = false) {
    const open = (): RequestSocket => new RequestSocket(protocol, isBrief)
    this.#channel = new Channel(netns ? netns.run(open) : open())
  }

  /** A client for a few requests about one pod, in the namespace of the calling thread or in the one given. */
  static brief(netns?: Netns): Netlink {
    return new Netlink(NETLINK_ROUTE, netns, true)
  }

  /** The socket's port id. A kernel notification carries that of the socket through which the change was made. */
  get portId(): number {
    return this.#channel.portId
  }

  /** Carries out operations in order, going on after a failed one; throws the KernelError of the first that failed. */
  execute(...operations: readonly Operation[]): void {
    const failed = this.executeAll(operations).find((error) => error !== undefined)
    if (failed) throw failed
  }

  /** Carries out operations in order, going on after a failed one. The result has an entry for each: undefined is success. */
  executeAll(operations: readonly Operation[]): (KernelError | undefined)[] {
    const results: (KernelError | undefined)[] = []
    for (let start = 0; start < operations.length; start += batchSize) {
      results.push(...this.#batch(operations.slice(start, start + batchSize)))
    }
    return results
  }

  /** As executeAll, giving the event loop a turn between batches. */
  async executeMany(operations: readonly Operation[]): Promise<(KernelError | undefined)[]> {
    const results: (KernelError | undefined)[] = []
    for (let start = 0; start < operations.length; start += batchSize) {
      if (start > 0) await setImmediate()
      results.push(...this.#batch(operations.slice(start, start + batchSize)))
    }
    return results
  }

  /** The kernel tells of every failure, and of success where it is asked to: the last answer is that to the last operation. */
  #batch(operations: readonly Operation[]): (KernelError | undefined)[] {
    const last = operations.length - 1
    const requests = operations.map((operation, index) =>
      index === last ? acknowledged(operation) : unacknowledged(operation),
    )
    return this.#channel.acknowledgements(operations, this.#channel.send(requests))
  }

  /**
   * Carries out operations of one nfnetlink subsystem as a single transaction: all of them or none. Throws the KernelError
   * of the first one that failed. `enclosing` is the payload of the messages around them, which names the subsystem.
   */
  transact(what: string, enclosing: Uint8Array, operations: readonly Operation[]): void {
    const enclose = (type: number): Request => ({ type, flags: NLM_F_REQUEST, payload: enclosing })
    const requests = [
      enclose(NFNL_MSG_BATCH_BEGIN),
      ...operations.map(({ type, flags = 0, payload }) => ({ type, flags: flags | NLM_F_REQUEST, payload })),
      enclose(NFNL_MSG_BATCH_END),
    ]
    const bytes = requests.reduce((sum, { payload }) => sum + headerBytes + payload.length + 3, 0)
    const begin = this.#channel.send(requests, new Writer(bytes))
    // The kernel answers failed messages only, in any number, and is done when send returns. The answer to a message that
    // does nothing comes after all of these: whatever happened, nothing is left over in the socket then.
    const last = this.#channel.send([{ type: NLMSG_NOOP, flags: NLM_F_REQUEST | NLM_F_ACK, payload: new Uint8Array() }])
    const failures = this.#failuresBetween(begin, last).sort((a, b) => a.sequence - b.sequence)
    // an error of the whole transaction is reported for its first message; the error of an operation tells more, so prefer it
    const failure = failures.find(({ sequence }) => sequence > begin) ?? failures[0]
    if (failure === undefined) return
    throw new KernelError(operations[failure.sequence - begin - 1]?.what ?? what, failure.errno, failure.explanation)
  }

  #failuresBetween(begin: number, last: number): (Ack & { readonly sequence: number })[] {
    const failures: (Ack & { readonly sequence: number })[] = []
    for (;;) {
      for (const message of this.#channel.receive()) {
        // skip late answers to an earlier request that was given up
        if (message.type !== NLMSG_ERROR || message.sequence < begin) continue
        const ack = decodeAck(message)
        if (ack.errno !== 0) failures.push({ ...ack, sequence: message.sequence })
        if (message.sequence === last) return failures
      }
    }
  }

  /** Asks for one object; throws KernelError. */
  get(operation: Operation): Message {
    const answer = ask(this.#channel, operation, NLM_F_REQUEST)
    let isWhole = false
    while (!isWhole && answer.messages.length === 0) isWhole = answer.take(this.#channel.receive())
    const [reply] = answer.messages
    if (reply === undefined) throw new KernelError(operation.what, 0, 'no answer')
    return reply
  }

  /**
   * As `get` for many objects. `take` gets each answer, or refusal, with the index of its operation; what an answer holds is valid only until
   * `take` returns, so nothing is copied.
   */
  getEach(operations: readonly Operation[], take: (index: number, reply: Message | KernelError) => void): void {
    for (let start = 0; start < operations.length; start += batchSize) {
      this.#mustBeOpen(operations[start]!)
      this.#getBatch(operations.slice(start, start + batchSize), (index, reply) => take(start + index, reply))
    }
  }

  #getBatch(operations: readonly Operation[], take: (index: number, reply: Message | KernelError) => void): void {
    const requests = operations.map(({ type, flags = 0, payload }) => ({ type, flags: flags | NLM_F_REQUEST, payload }))
    const first = this.#channel.send(requests)
    const isAnswered = new Set<number>()
    while (isAnswered.size < operations.length) {
      for (const message of this.#channel.receive()) {
        const index = message.sequence - first
        const operation = operations[index]
        // skip late answers to an earlier request that was given up
        if (operation === undefined || isAnswered.has(index)) continue
        isAnswered.add(index)
        if (message.type === NLMSG_ERROR) {
          const { errno, explanation } = decodeAck(message)
          take(index, new KernelError(operation.what, errno, explanation))
        } else take(index, message)
      }
    }
  }

  /**
   * Reads a whole table. When the kernel says that it changed meanwhile (NLM_F_DUMP_INTR), the dump is repeated;
   * throws KernelError when it never comes whole. What `skips` knows from its payload, or by how many were kept before it, is left out
   * before it is copied.
   */
  dump(operation: Operation, skips?: Skips): Message[] {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = ask(this.#channel, operation, NLM_F_REQUEST | NLM_F_DUMP)
        while (!answer.take(this.#channel.receive(), skips));
        return answer.messages
      } catch (error) {
        if (!mayDumpAgain(error) || attempt === dumpAttempts) throw error
      }
    }
  }

  /**
   * As dump, giving the event loop a turn after each piece that the kernel hands over: for tables that may be large.
   */
  async dumpInTurns(operation: Operation, skips?: Skips): Promise<Message[]> {
    return this.#dumpOrder.run(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#dumpOnceInTurns(operation, skips)
        } catch (error) {
          if (!mayDumpAgain(error) || attempt === dumpAttempts) throw error
        }
      }
    })
  }

  async #dumpOnceInTurns(operation: Operation, skips?: Skips): Promise<Message[]> {
    this.#mustBeOpen(operation)
    const channel = (this.#dumps ??= this.#channel.sibling())
    const answer = ask(channel, operation, NLM_F_REQUEST | NLM_F_DUMP)
    while (!answer.take(channel.receive(), skips)) {
      await setImmediate()
      this.#mustBeOpen(operation)
    }
    return answer.messages
  }

  #mustBeOpen({ what }: Operation): void {
    if (this.#isClosed) throw new Error(`${what}: the netlink client was closed before it was done`)
  }

  /** Closes the sockets; a dump that is being read in turns fails. */
  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#channel[Symbol.dispose]()
    void this.#dumpOrder.run(async () => this.#dumps?.[Symbol.dispose]())
  }
}

function ask(channel: Channel, operation: Operation, requestFlags: number): Answer {
  const { type, flags = 0, payload } = operation
  return new Answer(operation, channel.send([{ type, flags: flags | requestFlags, payload }]))
}

/** The request of an operation; the kernel reports a failure of it. */
function unacknowledged({ type, flags = 0, payload }: Operation): Request {
  return { type, flags: flags | NLM_F_REQUEST, payload }
}

/** The request of an operation, with the flag that makes the kernel report success too. */
export function acknowledged({ type, flags = 0, payload }: Operation): Request {
  return { type, flags: flags | NLM_F_REQUEST | NLM_F_ACK, payload }
}

/** The answer to one request, collected from datagrams. */
class Answer {
  readonly messages: Message[] = []
  readonly #operation: Operation
  readonly #sequence: number
  #isInterrupted = false

  constructor(operation: Operation, sequence: number) {
    this.#operation = operation
    this.#sequence = sequence
  }

  /** Returns true when the answer is complete. Throws KernelError when it is a refusal, or when the table changed during the dump. */
  take(messages: Iterable<Message>, skips?: Skips): boolean {
    for (const message of messages) {
      // skip late answers to an earlier request that was given up
      if (message.sequence !== this.#sequence) continue
      if (message.flags & NLM_F_DUMP_INTR) this.#isInterrupted = true
      if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
        const { errno, explanation } = decodeAck(message)
        if (errno !== 0) throw new KernelError(this.#operation.what, errno, explanation)
        if (this.#isInterrupted) throw new Interrupted(this.#operation.what)
        return true
      }
      if (skips?.(message.payload, this.messages.length) !== true)
        this.messages.push({ ...message, payload: message.payload.slice() })
    }
    return false
  }
}

function mayDumpAgain(error: unknown): boolean {
  return error instanceof Interrupted || (error instanceof SysError && error.code === 'ENOBUFS')
}

class Interrupted extends KernelError {
  constructor(what: string) {
    super(what, 4, `the table changed during each of ${dumpAttempts} dumps`)
  }
}
