// The schema of what a node knows of the ways to other nodes by its own probes. docs/probing.md says what they mean.
import {
  array,
  boolean,
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
import { about, moment, type ValueOf } from '../value.ts'

export const probePaths = ['node', 'pod'] as const
export const probeStates = ['unknown', 'ok', 'lossy', 'small only', 'one way', 'broken'] as const

const counts = object({
  sizeBytes: about(number(), 'of the IP packet; none may be fragmented'),
  sent: number(),
  answered: number(),
  refused: exactOptional(
    about(
      object({
        by: about(
          string(),
          'the address that sent the error, or "this node" where its own kernel did not send the packet',
        ),
        why: about(string(), "the kernel's words, or those of the ICMP error"),
        mtuBytes: exactOptional(number()),
      }),
      'the last error that came instead of an answer',
    ),
  ),
})

/** One way to another node, as its probes show it. */
export const peerWay = object({
  node: about(string(), 'the other node'),
  path: about(
    picklist(probePaths),
    "node: from this node's address to that of the other one; pod: as packets of pods, to the other node's gateway of pods",
  ),
  family: picklist([4, 6]),
  src: exactOptional(string()),
  dst: about(string(), 'the address that is asked'),
  way: about(picklist(['vxlan', 'native', 'direct']), 'direct: the path of nodes'),
  state: about(
    picklist(probeStates),
    'small only: packets of the full size are lost; one way: probes of the other node arrive here, and it does not answer ours; unknown: not enough was sent yet',
  ),
  sinceMs: about(moment(), 'since when it is so, ms since 1970'),
  windowMs: about(number(), 'the time that the counts are of'),
  small: counts,
  full: exactOptional(about(counts, 'of the largest size that the way is to carry')),
  rttMs: exactOptional(object({ least: number(), median: number(), most: number() })),
  lastAnswerMs: exactOptional(about(moment(), 'ms since 1970')),
})

export const peersReport = object({
  node: string(),
  isOn: about(boolean(), 'false: probing is switched off by a setting'),
  others: about(number(), 'how many other nodes there are; those below are a part of them'),
  ways: about(array(peerWay), 'sorted by node, path and family'),
})

/** The ways to other nodes in short, for the status of an agent. */
export const waysStatus = object({
  isOn: about(boolean(), 'false: probing is switched off by a setting'),
  nodes: about(number(), 'how many other nodes are asked'),
  ways: about(number(), 'how many ways to them'),
  ok: about(number(), 'how many of these are ok'),
  rttMs: exactOptional(about(number(), 'the median of the round trips of the last minute')),
  others: about(array(peerWay), 'the ways that are not ok'),
})

export const peersProbeRequest = object({
  nodes: about(
    pipe(
      array(string()),
      check((names) => names.length <= 64, 'are more than 64 nodes'),
    ),
    'the nodes to ask now',
  ),
  count: exactOptional(
    about(pipe(number(), integer(), minValue(1), maxValue(20)), 'probes of each size; 5 unless told'),
  ),
})

export type PeersReport = ValueOf<typeof peersReport>
export type PeerWay = PeersReport['ways'][number]
export type WaysStatus = ValueOf<typeof waysStatus>
export type PeersProbeRequest = ValueOf<typeof peersProbeRequest>
