// The schemas of the operations that show the eBPF datapath of a node: programs, hooks, maps, counters, drops, and watched packets.
import { array, boolean, check, exactOptional, number, object, picklist, pipe, string } from 'valibot'
import { Addr } from '#/lib/addr.ts'
import { datapathNames } from '#/model/datapath.ts'
import { about, moment, type ValueOf } from '../value.ts'

const program = object({
  name: string(),
  id: about(number(), "the kernel's number, as in bpftool prog show id"),
  tag: about(string(), 'a hash over its instructions'),
  instructions: about(number(), 'after the verifier has rewritten them'),
  loadedMs: about(moment(), 'when it was loaded, ms since 1970'),
})

const hook = object({
  device: string(),
  pod: exactOptional(about(string(), 'NAMESPACE/NAME, where the device is of a pod')),
  hook: picklist(['ingress', 'egress']),
  program: exactOptional(about(string(), 'absent: none of ours is attached, and packets take the way of the stack')),
  mechanism: exactOptional(picklist(['tcx', 'clsact'])),
  isCurrent: about(boolean(), 'whether the program is of the generation that the agent keeps'),
  before: about(array(string()), 'programs and filters of others that see packets first'),
  after: about(array(string()), 'and those that see what ours gives to the stack'),
})

const map = object({
  name: string(),
  type: string(),
  purpose: string(),
  entries: exactOptional(about(number(), 'of an array of counters: the slots that pods have')),
  maxEntries: about(number(), 'of the ring buffer: bytes'),
  memoryBytes: exactOptional(about(number(), "where the kernel tells; before Linux 6.4 it is a full map's")),
})

const count = object({ packets: number(), bytes: number() })

const ways = object({
  local: about(count, 'carried, from pod to pod of this node'),
  native: about(count, 'carried, by a native way'),
  tunnel: about(count, 'carried, through the tunnel'),
  stack: about(count, "by the node's own network stack"),
})

const share = object({ carried: number(), stack: number() })

const podTraffic = object({
  pod: about(string(), 'NAMESPACE/NAME'),
  device: string(),
  sent: ways,
  received: ways,
  lately: exactOptional(
    about(
      object({ seconds: number(), sent: share, received: share }),
      'packets in the last seconds, about a minute: what the sums since the pod began do not show',
    ),
  ),
})

const drop = object({
  pod: exactOptional(string()),
  device: about(string(), 'empty for one that is gone'),
  hook: about(string(), 'which program dropped: from_pod, to_pod, from_underlay, from_tunnel'),
  reason: about(string(), 'its name, as in metrics'),
  text: about(string(), 'what happened'),
  remedy: string(),
  packets: number(),
  bytes: number(),
  rules: exactOptional(
    about(
      array(object({ rule: string(), packets: number(), bytes: number() })),
      'of drops by policies: what denied, the most packets first',
    ),
  ),
  lastMs: exactOptional(
    about(moment(), 'when the agent saw the counter grow, ms since 1970; absent: not since it started'),
  ),
})

const programs = object({
  generation: about(string(), 'a hash over layouts and object file; the name of the folder of pins'),
  folder: about(string(), 'where generations are pinned'),
  state: about(
    object({
      isDraining: about(boolean(), 'every packet goes to the stack, since programs are about to be removed'),
      isWatching: about(boolean(), 'packets are compared with watched pairs'),
      keepsConnections: about(
        boolean(),
        'whether the programs keep entries of connection tracking alive, once jiffies are measured',
      ),
    }),
    'the settings of the programs',
  ),
  programs: array(program),
  hooks: array(hook),
  maps: array(map),
  pods: array(podTraffic),
  drops: array(drop),
})

export const datapathReport = object({
  node: string(),
  datapath: exactOptional(about(picklist(datapathNames), 'that pods have; absent before the first pass has decided')),
  why: exactOptional(about(string(), 'why it is not the one that is wanted')),
  wanted: object({ datapath: picklist(datapathNames), by: about(string(), 'who says so') }),
  programs: exactOptional(about(programs, 'absent where no programs are loaded')),
})

export const mapRequest = object({ map: about(string(), 'its name, such as cw_pods4; 404 where there is none') })

export const mapReport = object({
  map: string(),
  columns: array(string()),
  rows: about(array(array(string())), 'in words; the names of pods and nodes are those that the agent knows now'),
})

const addr = pipe(
  string(),
  check((text) => Addr.tryParse(text) !== undefined, 'is no IP address'),
)

/** A whole number from 1 to `most`, as text: a query has nothing else. */
function wholeUpTo(most: number) {
  return pipe(
    string(),
    check((text) => /^[1-9]\d{0,6}$/.test(text) && Number(text) <= most, `is no whole number from 1 to ${most}`),
  )
}

export const watchLimits = { seconds: 600, packets: 10_000 } as const

export const watchRequest = object({
  from: about(addr, 'the source of the packets'),
  to: about(addr, 'their destination'),
  seconds: exactOptional(about(wholeUpTo(watchLimits.seconds), `how long; ${watchLimits.seconds} at most`)),
  packets: exactOptional(about(wholeUpTo(watchLimits.packets), 'it ends after so many')),
})

const watchedPacket = object({
  timeMs: about(moment(), 'ms since 1970, with parts of a millisecond'),
  hook: about(string(), 'where: from_pod, to_pod, from_underlay, from_tunnel'),
  device: string(),
  pod: exactOptional(about(string(), 'where the device is of a pod')),
  verdict: about(string(), 'stack, carried, dropped'),
  reason: exactOptional(about(string(), 'of a drop')),
  text: exactOptional(about(string(), 'the reason in words')),
  rule: exactOptional(about(string(), 'of a drop by a policy: what denied it')),
  remedy: exactOptional(string()),
  lengthBytes: about(number(), 'of the whole packet, with its Ethernet header'),
  packet: about(string(), 'its headers in words'),
  bytes: about(string(), 'the beginning of the packet as the program left it, hexadecimal'),
})

export const watchLine = object({
  kind: about(picklist(['packet', 'lost', 'end']), 'which of the fields below it has'),
  packet: exactOptional(watchedPacket),
  lost: exactOptional(
    about(
      number(),
      'packets that are not told, since the reader is too slow; absent in a line of this kind: nobody knows how many, since programs had no room to tell',
    ),
  ),
  end: exactOptional(about(string(), 'why the stream ends; the last line')),
})

export type DatapathReport = ValueOf<typeof datapathReport>
export type ProgramsReport = NonNullable<DatapathReport['programs']>
export type HookReport = ProgramsReport['hooks'][number]
export type PodTrafficReport = ProgramsReport['pods'][number]
export type MapReport = ValueOf<typeof mapReport>
export type WatchRequest = ValueOf<typeof watchRequest>
export type WatchLine = ValueOf<typeof watchLine>
export type WatchedPacket = NonNullable<WatchLine['packet']>
