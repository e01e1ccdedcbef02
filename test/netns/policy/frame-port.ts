// One end of a link on which a test sends frames byte by byte and sees those that come.
import { setTimeout as sleep } from 'node:timers/promises'
import { closeFd, libc } from '#/sys/libc.ts'
import { receive, send } from '#/sys/socket.ts'
import { type TestNetns } from '../namespace.ts'

const AF_PACKET = 17
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0x800 | 0x80000
const ETH_P_ALL_BE = 0x0300

export class FramePort implements Disposable {
  readonly mac: string
  readonly #fd: number
  readonly #buffer = new Uint8Array(4096)

  constructor(netns: TestNetns, device = 'eth0') {
    const [link] = netns.ip<{ ifindex: number; address: string }>(`link show ${device}`)
    this.mac = link!.address
    const address = new Uint8Array(20)
    const view = new DataView(address.buffer)
    view.setUint16(0, AF_PACKET, true)
    view.setUint16(2, ETH_P_ALL_BE, true)
    view.setInt32(4, link!.ifindex, true)
    this.#fd = netns.netns.run(() => libc('socket', [AF_PACKET, SOCK_RAW_NONBLOCK_CLOEXEC, 0], 'AF_PACKET'))
    libc('bind', [this.#fd, address, address.length], 'AF_PACKET')
  }

  send(frame: Uint8Array): void {
    send(this.#fd, frame)
  }

  /** The frames that came from others since the last call. */
  take(): Uint8Array[] {
    const frames: Uint8Array[] = []
    for (let count = receive(this.#fd, this.#buffer); count !== undefined; count = receive(this.#fd, this.#buffer)) {
      const frame = this.#buffer.slice(0, count)
      const from = [...frame.subarray(6, 12)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
      if (from !== this.mac) frames.push(frame)
    }
    return frames
  }

  /** Whether a frame with this text comes before one with the other, or a moment after it. */
  async gets(text: string, end?: string): Promise<boolean> {
    let isOver = false
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += turnMs) {
      const frames = this.take().map((frame) => Buffer.from(frame))
      if (frames.some((frame) => frame.includes(text))) return true
      if (isOver) return false
      isOver = end === undefined ? waitedMs >= quietMs : frames.some((frame) => frame.includes(end))
      await sleep(turnMs)
    }
    throw new Error(`${end} has not come`)
  }

  /** The frames that come within this time. */
  async collect(waitMs: number): Promise<Uint8Array[]> {
    await sleep(waitMs)
    return this.take()
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd)
  }
}

const turnMs = 5
/** What has not come by then was dropped: no queue and no other machine is on the way. */
const quietMs = 60
const patienceMs = 3000
