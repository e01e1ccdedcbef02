// The schemas of the operation by which a node tells where the packets of a trace are seen. docs/trace.md says what they mean.
import { boolean, check, exactOptional, number, object, picklist, pipe, string } from 'valibot'
import { tracePlaces, traceProtocols, traceRoles } from '#/model/trace.ts'
import { about, moment, type ValueOf } from '../value.ts'

export const traceLimits = { seconds: 30, sightings: 1000, watchers: 4 } as const

/** A whole number from `least` to `most`, as text: a query has nothing else. */
function whole(least: number, most: number) {
  return pipe(
    string(),
    check(
      (text) => /^(0|[1-9]\d{0,9})$/.test(text) && Number(text) >= least && Number(text) <= most,
      `is no whole number from ${least} to ${most}`,
    ),
  )
}

const cookie = pipe(
  string(),
  check((text) => /^[0-9a-f]{16}$/.test(text), 'is not 16 hexadecimal digits'),
)

export const traceWatchRequest = object({
  protocol: picklist(traceProtocols),
  cookie: exactOptional(
    about(cookie, 'the first 8 bytes of what a probe of ICMP (after its header of 8 bytes) or UDP carries'),
  ),
  seq: exactOptional(about(whole(0, 0xffff_ffff), 'of a probe of TCP: the sequence number of its SYN')),
  seconds: exactOptional(about(whole(1, traceLimits.seconds), `how long; ${traceLimits.seconds} at most`)),
})

/** Of what an agent tells nothing is to be believed unread: it may be of another release, or no agent. */
const capturedBytes = pipe(
  string(),
  check((text) => /^(?:[0-9a-f]{2}){0,4096}$/.test(text), 'is not hexadecimal'),
)

const ready = object({
  node: string(),
  nowMs: about(moment(), "this node's clock, ms since 1970"),
  kernel: about(string(), "the kernel's release"),
})

const drop = object({
  reason: about(
    string(),
    "the kernel's own name for it, such as NETFILTER_DROP, without SKB_DROP_REASON_; NOT_SPECIFIED where it has none",
  ),
  function: about(string(), 'the function of the kernel that dropped the packet, such as ip_forward'),
})

const sighting = object({
  timeMs: about(moment(), "ms since 1970 by this node's clock, with parts of a millisecond"),
  place: about(
    picklist(tracePlaces),
    'receive: came in by the device; queue: given to the device to be sent; transmit: left by it, after its tc programs and queue; drop: ended there; read: who it was for has it, a process or the kernel itself',
  ),
  role: about(
    picklist(traceRoles),
    'probe; answer: the packet that answers it; probe-error, answer-error: an ICMP error that quotes the one or the other',
  ),
  pod: exactOptional(about(string(), 'NAMESPACE/NAME, when it was seen in the namespace of this pod')),
  device: exactOptional(about(string(), 'absent where the packet had none at this moment')),
  devicePod: exactOptional(about(string(), "NAMESPACE/NAME, when the device is the node's end of this pod")),
  lengthBytes: about(number(), 'of the whole packet, counted from where `bytes` begins'),
  skb: about(string(), 'the same for sightings of the same packet in a row, until the kernel copies it'),
  mark: exactOptional(about(number(), 'the mark that rules gave it; absent: none')),
  hasPartialChecksum: exactOptional(
    about(
      boolean(),
      'the checksum of the transport header is still to be completed, by the device that sends the packet',
    ),
  ),
  startsAt: about(picklist(['link', 'network']), 'whether `bytes` begins with an Ethernet or an IP header'),
  bytes: about(capturedBytes, 'the first bytes of the packet, hexadecimal'),
  drop: exactOptional(about(drop, 'where place is drop')),
})

export const traceWatchLine = object({
  kind: about(
    picklist(['ready', 'sighting', 'lost', 'end']),
    'which of the fields below it has; a line of the kind end before one of the kind ready: this node cannot observe',
  ),
  ready: exactOptional(about(ready, 'from now on packets are seen: the probe may be sent')),
  sighting: exactOptional(sighting),
  lost: exactOptional(about(number(), 'sightings that are not told, since there were too many of them')),
  end: exactOptional(about(string(), 'why the stream ends; the last line')),
})

export type TraceWatchRequest = ValueOf<typeof traceWatchRequest>
export type TraceWatchLine = ValueOf<typeof traceWatchLine>
export type SightingReport = NonNullable<TraceWatchLine['sighting']>
