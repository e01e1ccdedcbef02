// Writes captured packets as a pcapng file, which Wireshark and tcpdump read (draft-ietf-opsawg-pcapng). Pure. Unlike the older format it has
// an interface for each place, and words for each packet.
import { type Writer, written } from '#/lib/bytes.ts'

export type CapturedPacket = {
  /** Where it was captured, such as NODE/DEVICE. */
  readonly interfaceName: string
  /** With which header the bytes begin. tcpdump(8) reads no file that has both. */
  readonly startsAt: 'link' | 'network'
  /** Since 1970. */
  readonly timeNs: bigint
  /** Of the whole packet, of which `bytes` may be the beginning. */
  readonly lengthBytes: number
  readonly bytes: Uint8Array
  readonly direction?: 'in' | 'out'
  readonly comment?: string
}

const sectionHeader = 0x0a0d_0d0a
const byteOrderMagic = 0x1a2b_3c4d
const interfaceDescription = 1
const enhancedPacket = 6
const lengthUnknown = 0xffff_ffff_ffff_ffffn
const linkTypes = { link: 1, network: 101 } as const
const directions = { in: 1, out: 2 } as const
/** No limit was set for what is kept of a packet. */
const noLimit = 0

const endOfOptions = 0
const comment = 1
const applicationName = 4
const interfaceName = 2
const timeResolution = 9
const packetFlags = 2
const nanoseconds = 9

const encoder = new TextEncoder()

type Option = readonly [code: number, value: Uint8Array]

function text(code: number, value: string): Option {
  // the length is told in 16 bits
  return [code, encoder.encode(value).subarray(0, 0xffff)]
}

function writeOptions(into: Writer, options: readonly Option[]): void {
  if (options.length === 0) return
  for (const [code, value] of [...options, [endOfOptions, new Uint8Array()] as const]) {
    into.u16le(code)
    into.u16le(value.length)
    into.bytes(value)
    into.align(4)
  }
}

function block(type: number, write: (into: Writer) => void, options: readonly Option[]): Uint8Array {
  const body = written((into) => {
    write(into)
    into.align(4)
    writeOptions(into, options)
  })
  return written((into) => {
    into.u32le(type)
    into.u32le(body.length + 12)
    into.bytes(body)
    into.u32le(body.length + 12)
  })
}

function sectionBlock(application: string): Uint8Array {
  const write = (into: Writer): void => {
    into.u32le(byteOrderMagic)
    into.u16le(1)
    into.u16le(0)
    into.u64le(lengthUnknown)
  }
  return block(sectionHeader, write, [text(applicationName, application)])
}

function interfaceBlock({ interfaceName: name, startsAt }: CapturedPacket): Uint8Array {
  const write = (into: Writer): void => {
    into.u16le(linkTypes[startsAt])
    into.u16le(0)
    into.u32le(noLimit)
  }
  return block(interfaceDescription, write, [text(interfaceName, name), [timeResolution, Uint8Array.of(nanoseconds)]])
}

function packetBlock(packet: CapturedPacket, index: number): Uint8Array {
  const { timeNs, bytes, lengthBytes, direction } = packet
  const write = (into: Writer): void => {
    into.u32le(index)
    into.u32le(Number(timeNs >> 32n))
    into.u32le(Number(timeNs & 0xffff_ffffn))
    into.u32le(bytes.length)
    into.u32le(lengthBytes)
    into.bytes(bytes)
  }
  return block(enhancedPacket, write, [
    ...(packet.comment === undefined ? [] : [text(comment, packet.comment)]),
    ...(direction === undefined ? [] : [[packetFlags, Uint8Array.of(directions[direction], 0, 0, 0)] as const]),
  ])
}

/** A whole file, with the packets in the order given. `application`: what has written it. */
export function encodePcapng(packets: readonly CapturedPacket[], application: string): Uint8Array {
  const indices = new Map<string, number>()
  const blocks = [sectionBlock(application)]
  for (const packet of packets) {
    const key = `${packet.startsAt} ${packet.interfaceName}`
    const known = indices.get(key)
    if (known === undefined) blocks.push(interfaceBlock(packet))
    const index = known ?? indices.size
    indices.set(key, index)
    blocks.push(packetBlock(packet, index))
  }
  return written((into) => {
    for (const each of blocks) into.bytes(each)
  })
}
