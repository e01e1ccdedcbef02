// What a program tells of a packet, from the bytes of the ring buffer. Pure.
import { type TracePlace, type TraceRole, tracePlaces, traceRoles } from '#/wire/bpf/trace-words.ts'
import { placeNumbers, roleNumbers, sightingFlags, sightingStruct } from '#/wire/bpf/trace.ts'

export type Sighting = {
  /** CLOCK_MONOTONIC. */
  readonly timeNs: bigint
  readonly place: TracePlace
  readonly role: TraceRole
  /** Tells packets apart, as long as the kernel does not copy them. */
  readonly skb: bigint
  /** The inode of the network namespace. */
  readonly netns: number
  readonly device?: { readonly index: number; readonly name: string }
  /** From where `bytes` begins. */
  readonly lengthBytes: number
  readonly startsAt: 'link' | 'network'
  readonly bytes: Uint8Array
  readonly mark: number
  /** The checksum of the transport header is not there yet: the device that sends the packet completes it. */
  readonly hasPartialChecksum: boolean
  /** Where place is drop. */
  readonly drop?: { readonly reason: string; readonly function: string }
}

const decoder = new TextDecoder()

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end))
}

/** The kernel prints a member of an enumeration by its name, and a number that has none as it is. */
function reasonOf(text: string): string {
  const name = text.replace(/^SKB_(DROP_REASON_)?/, '')
  return /^\d+$/.test(name) ? `reason ${name}` : name
}

/** Without the module that it is in, and what the compiler has added to the name of a part of it, such as .isra.0. */
function functionOf(text: string): string {
  return /^\w*/.exec(text)![0]
}

/** Linux 6.1 frees so what it has taken of ICMPv6: echo requests that it answers, and errors that it has told to a socket. */
const takingFunction = 'icmpv6_rcv'

/** The probe's number and the sighting. A namespace of 0: the packet does not say where it is. Undefined for what only newer programs tell. */
export function decodeSighting(
  record: Uint8Array,
): { readonly probe: number; readonly sighting: Sighting } | undefined {
  const event = sightingStruct.decode(record.subarray(0, sightingStruct.size))
  const place = tracePlaces.find((each) => placeNumbers[each] === event.place)
  const role = traceRoles.find((each) => roleNumbers[each] === event.role)
  if (place === undefined || role === undefined) return undefined
  const drop =
    place === 'drop'
      ? { reason: reasonOf(textOf(event.reason)), function: functionOf(textOf(event.location)) }
      : undefined
  const isTaken = drop?.reason === 'NOT_SPECIFIED' && drop.function === takingFunction
  const sighting: Sighting = {
    timeNs: event.time_ns,
    place: isTaken ? 'read' : place,
    role,
    skb: event.skb,
    netns: event.netns,
    ...(event.device !== 0 && { device: { index: event.device, name: textOf(event.device_name) } }),
    lengthBytes: event.length,
    startsAt: event.flags & sightingFlags.starts_at_network ? 'network' : 'link',
    bytes: event.bytes.slice(0, event.captured),
    mark: event.mark,
    hasPartialChecksum: (event.flags & sightingFlags.partial_checksum) !== 0,
    ...(drop && !isTaken && { drop }),
  }
  return { probe: event.probe, sighting }
}
