// Listens to packets that rules log to a group of NFLOG.
import { setImmediate } from 'node:timers/promises'
import { Writer } from '#/lib/bytes.ts'
import { NETLINK_NETFILTER, NotificationSocket } from '#/sys/netlink-socket.ts'
import { type Netns } from '#/sys/netns.ts'
import {
  decodeAck,
  decodeMessages,
  encodeMessage,
  type Message,
  NLM_F_ACK,
  NLM_F_REQUEST,
  NLMSG_ERROR,
} from '#/wire/netlink/message.ts'
import {
  decodeNflogPacket,
  encodeNflogBind,
  NFULNL_MSG_CONFIG,
  NFULNL_MSG_PACKET,
  type NflogPacket,
} from '#/wire/nflog/messages.ts'
import { KernelError } from './netlink.ts'

/** Enough for the headers of a packet and its ICMP error's. */
const copyBytes = 128
/** Packets are handed over together: to be woken takes longer than to read one. Nobody reads a log within this time. */
const gatherPackets = 32
const gatherMs = 100
/** Other work of the event loop waits no longer than for these. */
const packetsPerTurn = 256

/** The kernel does not say why it refuses (EPERM). */
const usualCause = 'another socket listens to it, or CAP_NET_ADMIN is missing'

/** Ends with its disposal. `lost` counts packets that came faster than they were taken, as far as a later one has shown it. */
export type NflogListener = Disposable & { readonly lost: number }

/**
 * Calls `onPacket` for each packet that a rule of the calling thread's namespace, or of the one given, logs to this group. The kernel keeps a few
 * megabytes of packets that are not taken yet, and drops others. Keeps the process running. `onError` gets the error that ends the listening, also
 * one that `onPacket` throws. Throws KernelError, also when another socket listens to the group.
 */
export function listenToGroup(
  group: number,
  onPacket: (packet: NflogPacket) => void,
  onError: (error: unknown) => void,
  netns?: Netns,
): NflogListener {
  const open = (): NotificationSocket => new NotificationSocket(NETLINK_NETFILTER, [])
  const listener = new Listener(netns ? netns.run(open) : open(), onPacket)
  try {
    listener.bind(group)
  } catch (error) {
    listener[Symbol.dispose]()
    throw error
  }
  listener.follow().catch(onError)
  return listener
}

class Listener implements NflogListener {
  readonly #socket: NotificationSocket
  readonly #onPacket: (packet: NflogPacket) => void
  #nextSequence = 0
  lost = 0

  constructor(socket: NotificationSocket, onPacket: (packet: NflogPacket) => void) {
    this.#socket = socket
    this.#onPacket = onPacket
  }

  bind(group: number): void {
    const request = new Writer()
    const payload = encodeNflogBind({ group, copyBytes, gatherPackets, gatherMs })
    encodeMessage({ type: NFULNL_MSG_CONFIG, flags: NLM_F_REQUEST | NLM_F_ACK, payload }, 1, request)
    this.#socket.send(request.view())
    // the kernel has answered when `send` returns; packets may have come already
    for (let answer = this.#socket.receiveNow(); answer !== undefined; answer = this.#socket.receiveNow()) {
      if (answer === 'overflow') continue
      for (const message of decodeMessages(answer)) {
        if (message.type !== NLMSG_ERROR) this.#take(message)
        else {
          const { errno, explanation } = decodeAck(message)
          if (errno !== 0) throw new KernelError(`listen to NFLOG group ${group}`, errno, explanation ?? usualCause)
          return
        }
      }
    }
    throw new KernelError(`listen to NFLOG group ${group}`, 0, 'no answer')
  }

  /** Takes packets until the socket is closed. */
  async follow(): Promise<void> {
    for (;;) {
      let taken = 0
      let datagram = await this.#socket.receive()
      if (datagram === undefined) return
      for (; datagram !== undefined; datagram = taken < packetsPerTurn ? this.#socket.receiveNow() : undefined) {
        // how many packets an overflow has cost is seen by the number of the next one
        if (datagram === 'overflow') continue
        for (const message of decodeMessages(datagram)) taken += this.#take(message)
      }
      if (taken >= packetsPerTurn) await setImmediate()
    }
  }

  /** How many packets it was. */
  #take({ type, payload }: Message): number {
    if (type !== NFULNL_MSG_PACKET) return 0
    const packet = decodeNflogPacket(payload)
    if (packet.sequence !== undefined) {
      this.lost += (packet.sequence - this.#nextSequence) >>> 0
      this.#nextSequence = (packet.sequence + 1) >>> 0
    }
    this.#onPacket(packet)
    return 1
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }
}
