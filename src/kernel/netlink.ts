// A netlink client: requests, batches and dumps over one socket, with the kernel's own words in every error.
import { setImmediate } from 'node:timers/promises'
import { Writer } from '#/lib/bytes.ts'
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

/** A request with what it means to a reader, for errors: "route add 10.244.2.0/24 via 10.244.2.0 dev cw-vxlan". */
export type Operation = {
  readonly what: string
  readonly type: number
  readonly flags?: number
  readonly payload: Uint8Array
}

/** Above this many messages in one system call the event loop would stand still for more than a few milliseconds. */
const batchSize = 64
const dumpAttempts = 10

/** Around the messages of a transaction (include/uapi/linux/netfilter/nfnetlink.h). */
const NFNL_MSG_BATCH_BEGIN = 0x10
const NFNL_MSG_BATCH_END = 0x11

export class Netlink {
  readonly #socket: RequestSocket
  /** Room for requests, kept from one to the next. */
  readonly #into = new Writer(4096)
  #sequence = 0
  /** What is going on across turns of the event loop: any other request would take its answers. */
  #busyWith: string | undefined

  /** In the namespace of the calling thread, or in the one given. */
  constructor(protocol: number = NETLINK_ROUTE, netns?: Netns) {
    this.#socket = netns ? netns.run(() => new RequestSocket(protocol)) : new RequestSocket(protocol)
  }

  /** By this the kernel's notifications tell who made the change. */
  get portId(): number {
    return this.#socket.portId
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

  /**
   * Carries out one operation in which the kernel takes its time, without holding up the event loop. Until it is over this client
   * takes no other request. Throws KernelError.
   */
  async executeAside(operation: Operation): Promise<void> {
    const into = new Writer(4096)
    encodeMessage(acknowledged(operation), ++this.#sequence, into)
    if (this.#busyWith !== undefined) throw new Error(`this netlink client is still busy with: ${this.#busyWith}`)
    this.#busyWith = operation.what
    try {
      await this.#socket.sendAside(into.toBytes())
    } finally {
      this.#busyWith = undefined
    }
    const [error] = this.#acknowledgements([operation], this.#sequence)
    if (error) throw error
  }

  #batch(operations: readonly Operation[]): (KernelError | undefined)[] {
    const first = this.#sequence + 1
    this.#send(operations.map(acknowledged))
    return this.#acknowledgements(operations, first)
  }

  /** The outcomes of operations that were sent with sequence numbers from `first` on. */
  #acknowledgements(operations: readonly Operation[], first: number): (KernelError | undefined)[] {
    const results: (KernelError | undefined)[] = Array.from({ length: operations.length })
    let open = operations.length
    while (open > 0) {
      for (const message of decodeMessages(this.#socket.receive())) {
        const index = message.sequence - first
        const operation = operations[index]
        // answers to an earlier request that was given up are none of ours
        if (message.type !== NLMSG_ERROR || operation === undefined) continue
        const { errno, explanation } = decodeAck(message)
        if (errno !== 0) results[index] = new KernelError(operation.what, errno, explanation)
        open--
      }
    }
    return results
  }

  /**
   * Carries out operations of one nfnetlink subsystem as a single transaction: all of them or none. Throws the KernelError
   * of the first one that failed. `enclosing` is the payload of the messages around them, which names the subsystem.
   */
  transact(what: string, enclosing: Uint8Array, operations: readonly Operation[]): void {
    const first = this.#sequence + 2
    const bytes = operations.reduce((sum, { payload }) => sum + headerBytes + payload.length + 3, 64)
    const into = new Writer(bytes)
    const enclose = (type: number): void =>
      encodeMessage({ type, flags: NLM_F_REQUEST, payload: enclosing }, ++this.#sequence, into)
    enclose(NFNL_MSG_BATCH_BEGIN)
    for (const { type, flags = 0, payload } of operations) {
      encodeMessage({ type, flags: flags | NLM_F_REQUEST, payload }, ++this.#sequence, into)
    }
    enclose(NFNL_MSG_BATCH_END)
    this.#write(into)
    // The kernel answers failed messages only, in any number, and is done when send returns. The answer to a message that
    // does nothing comes after all of these: whatever happened, nothing is left over in the socket then.
    this.#send([{ type: NLMSG_NOOP, flags: NLM_F_REQUEST | NLM_F_ACK, payload: new Uint8Array() }])
    const failures = this.#failuresBetween(first - 1, this.#sequence).sort((a, b) => a.sequence - b.sequence)
    // what concerns the transaction as a whole is said of the message that begins it; a cause in detail is worth more
    const failure = failures.find(({ sequence }) => sequence >= first) ?? failures[0]
    if (failure === undefined) return
    throw new KernelError(operations[failure.sequence - first]?.what ?? what, failure.errno, failure.explanation)
  }

  #failuresBetween(begin: number, last: number): (Ack & { readonly sequence: number })[] {
    const failures: (Ack & { readonly sequence: number })[] = []
    for (;;) {
      for (const message of decodeMessages(this.#socket.receive())) {
        // answers to an earlier request that was given up are none of ours
        if (message.type !== NLMSG_ERROR || message.sequence < begin) continue
        const ack = decodeAck(message)
        if (ack.errno !== 0) failures.push({ ...ack, sequence: message.sequence })
        if (message.sequence === last) return failures
      }
    }
  }

  /** Asks for one object; throws KernelError. */
  get(operation: Operation): Message {
    const [reply] = this.#collect(operation, NLM_F_REQUEST)
    if (reply === undefined) throw new KernelError(operation.what, 0, 'no answer')
    return reply
  }

  /**
   * Reads a whole table. When the kernel says that it changed meanwhile (NLM_F_DUMP_INTR), the dump is repeated;
   * throws KernelError when it never comes whole.
   */
  dump(operation: Operation): Message[] {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#collect(operation, NLM_F_REQUEST | NLM_F_DUMP)
      } catch (error) {
        if (!mayDumpAgain(error) || attempt === dumpAttempts) throw error
      }
    }
  }

  /**
   * As dump, giving the event loop a turn after each piece that the kernel hands over: for tables that may be large. Until it is
   * over this client takes no other request.
   */
  async dumpInTurns(operation: Operation): Promise<Message[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#collectInTurns(operation)
      } catch (error) {
        if (!mayDumpAgain(error) || attempt === dumpAttempts) throw error
      }
    }
  }

  async #collectInTurns(operation: Operation): Promise<Message[]> {
    this.#ask(operation, NLM_F_REQUEST | NLM_F_DUMP)
    const answer = new Answer(operation, this.#sequence)
    this.#busyWith = operation.what
    try {
      while (!answer.take(this.#socket.receive())) await setImmediate()
      return answer.messages
    } finally {
      this.#busyWith = undefined
    }
  }

  #collect(operation: Operation, flags: number): Message[] {
    this.#ask(operation, flags)
    const answer = new Answer(operation, this.#sequence)
    const isDump = (flags & NLM_F_DUMP) === NLM_F_DUMP
    for (;;) {
      const isWhole = answer.take(this.#socket.receive())
      if (isWhole || (!isDump && answer.messages.length > 0)) return answer.messages
    }
  }

  #ask({ type, flags = 0, payload }: Operation, requestFlags: number): void {
    this.#send([{ type, flags: flags | requestFlags, payload }])
  }

  #send(requests: readonly Request[]): void {
    this.#into.clear()
    for (const request of requests) encodeMessage(request, ++this.#sequence, this.#into)
    this.#write(this.#into)
  }

  #write(into: Writer): void {
    if (this.#busyWith !== undefined) throw new Error(`this netlink client is still busy with: ${this.#busyWith}`)
    this.#socket.send(into.view())
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }
}

function acknowledged({ type, flags = 0, payload }: Operation): Request {
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

  /** True when it is whole. Throws KernelError when it is a refusal, or changed while it was read. */
  take(datagram: Uint8Array): boolean {
    for (const message of decodeMessages(datagram)) {
      // answers to an earlier request that was given up are none of ours
      if (message.sequence !== this.#sequence) continue
      if (message.flags & NLM_F_DUMP_INTR) this.#isInterrupted = true
      if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
        const { errno, explanation } = decodeAck(message)
        if (errno !== 0) throw new KernelError(this.#operation.what, errno, explanation)
        if (this.#isInterrupted) throw new Interrupted(this.#operation.what)
        return true
      }
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
