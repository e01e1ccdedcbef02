// The schemas of the operations that find the two ends of a trace and send its probe. docs/trace.md says what they are for.
import {
  array,
  check,
  exactOptional,
  integer,
  maxValue,
  minValue,
  number,
  object,
  picklist,
  pipe,
  string,
} from 'valibot'
import { Addr } from '#/lib/addr.ts'
import { traceProtocols } from '#/model/trace.ts'
import { about, moment, type ValueOf } from '../value.ts'

export const traceEndsRequest = object({
  from: about(
    string(),
    'an address, a pod as NAMESPACE/NAME or as the NAME of one in default or the only one, or a node',
  ),
  to: about(string(), 'the same'),
})

const traceEnd = object({
  addr: string(),
  pod: exactOptional(about(string(), 'NAMESPACE/NAME; absent: it is no pod with a network of its own')),
  node: exactOptional(about(string(), 'where it is; absent: nowhere in this cluster')),
  cidrNode: exactOptional(about(string(), 'the node whose pod CIDR it is of, where neither a pod nor a node has it')),
  hostPod: exactOptional(about(string(), 'NAMESPACE/NAME of the pod that was named and is in the network of its node')),
})

export const traceEndsReport = object({
  node: about(string(), 'who says so'),
  pairs: about(
    array(object({ from: traceEnd, to: traceEnd })),
    'one for each family of which both have an address; where this node itself is the sender, with the address that its kernel would send from',
  ),
})

const whole = (least: number, most: number) => pipe(number(), integer(), minValue(least), maxValue(most))
const addr = pipe(
  string(),
  check((text) => Addr.tryParse(text) !== undefined, 'is no IP address'),
)

export const traceSendRequest = object({
  src: about(addr, 'of this node, or of one of its pods: the probe leaves from its namespace'),
  dst: addr,
  protocol: picklist(traceProtocols),
  cookie: exactOptional(
    about(
      pipe(
        string(),
        check((text) => /^[0-9a-f]{16}$/.test(text), 'is not 16 hexadecimal digits'),
      ),
      'of ICMP and UDP: what the payload begins with',
    ),
  ),
  seq: exactOptional(about(whole(0, 0xffff_ffff), 'of TCP: the sequence number of the SYN; of ICMP: that of the echo')),
  id: exactOptional(about(whole(0, 0xffff), 'of ICMP')),
  sourcePort: exactOptional(about(whole(1, 65_535), 'of UDP and TCP')),
  port: exactOptional(about(whole(1, 65_535), 'of UDP and TCP')),
  sizeBytes: exactOptional(
    about(whole(1, 65_535), 'of the whole packet, which then is not to be fragmented; absent: a small one'),
  ),
})

const refusal = object({
  code: about(string(), "the kernel's error, such as EMSGSIZE"),
  mtuBytes: exactOptional(about(number(), 'how large a packet it would send to that address')),
})

export const traceSendReport = object({
  node: string(),
  sentAtMs: about(moment(), "by this node's clock, ms since 1970"),
  refused: exactOptional(about(refusal, 'the kernel did not send it')),
})

export type TraceEndsReport = ValueOf<typeof traceEndsReport>
export type TracePair = TraceEndsReport['pairs'][number]
export type TraceEnd = TracePair['from']
export type TraceSendRequest = ValueOf<typeof traceSendRequest>
export type TraceSendReport = ValueOf<typeof traceSendReport>
