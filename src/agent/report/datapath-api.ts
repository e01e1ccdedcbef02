// The operations of the agent's API that show the eBPF datapath, and the stream of watched packets.
import { type WatchedPacket, type WatchLine, type WatchRequest } from '#/api/schemas/datapath.ts'
import {
  type EntryMapName,
  type Generation,
  mapTable,
  type Names,
  ruleText,
  type WatchEvent,
} from '#/datapath/programs.ts'
import { Addr } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { didYouMean } from '#/lib/nearest.ts'
import { configStruct, indexStruct, mapLayouts, type MapName } from '#/wire/bpf/maps.ts'
import { packetWords } from '#/wire/bpf/packet-words.ts'
import { hookName, reasonTold, verdictName } from '#/wire/bpf/words.ts'
import { monotonicOffsetMs, wallClockMs } from './event-clock.ts'
import { datapathReportOf } from './datapath-report.ts'
import { type DatapathView } from './datapath-view.ts'
import { type Handlers, type HttpRefusal, type LineWriter, type LongAnswer, type StreamAnswer } from './http-api.ts'

const rowsPerPiece = 500
const defaultSeconds = 60
const defaultPackets = 1000
/** How often is looked whether the programs are still those that are watched. */
const checkMs = 1000

function noPrograms(view: DatapathView): HttpRefusal {
  const now = view.deps.state()
  const why = now?.why === undefined ? '' : `: ${now.why}`
  const what = now?.name === 'bridge' ? 'this node has the bridge datapath' : 'this node has no programs yet'
  return { status: 409, body: `${what}, in which no program sees packets${why}\n` }
}

function isMapName(name: string): name is MapName {
  return Object.hasOwn(mapLayouts, name)
}

async function* tableJson(view: DatapathView, generation: Generation, map: EntryMapName): AsyncGenerator<string> {
  const { columns, rows } = await mapTable(generation, map, view.names())
  yield `{"map":${JSON.stringify(map)},"columns":${JSON.stringify(columns)},"rows":[`
  for (let at = 0; at < rows.length; at += rowsPerPiece) {
    const piece = rows.slice(at, at + rowsPerPiece).map((row) => JSON.stringify(row))
    yield `${at === 0 ? '' : ','}${piece.join(',')}`
  }
  yield ']}\n'
}

function mapAnswer(view: DatapathView, map: string): LongAnswer | HttpRefusal {
  const { generation } = view
  if (generation === undefined) return noPrograms(view)
  const names = Object.keys(mapLayouts)
  if (!isMapName(map))
    return { status: 404, body: `there is no map "${map}"${didYouMean(map, names)}; there are ${names.join(', ')}\n` }
  if (map === 'cw_events')
    return { status: 404, body: 'cw_events has no entries to look at: "causeway datapath watch" prints its events\n' }
  if (map === 'cw_denials')
    return { status: 404, body: 'cw_denials has no entries to look at: "causeway policy denials" prints them\n' }
  return { status: 200, json: tableJson(view, generation, map) }
}

function told(event: WatchEvent, names: Names, offsetMs: number, vxlanPort: number): WatchedPacket {
  const { time_ns, device, length, captured, hook, verdict, reason, rule, bytes } = event
  const kept = bytes.subarray(0, captured)
  const pod = names.pod(device)
  const why = reason === 0 ? undefined : reasonTold(reason)
  return {
    timeMs: wallClockMs(time_ns, offsetMs),
    hook: hookName(hook) ?? `hook ${hook}`,
    device: names.device(device) ?? `index ${device}`,
    ...(pod !== undefined && { pod }),
    verdict: verdictName(verdict) ?? `verdict ${verdict}`,
    ...(why && { reason: why.name, text: why.text, remedy: why.remedy }),
    ...(rule !== 0 && { rule: ruleText(rule) }),
    lengthBytes: length,
    packet: packetWords(kept, vxlanPort),
    bytes: kept.toHex(),
  }
}

function vxlanPortOf(generation: Generation): number {
  const bytes = generation.map('cw_config').get(indexStruct.encode({ index: 0 }))
  return bytes ? configStruct.decode(bytes).vxlan_port : 0
}

async function follow(
  view: DatapathView,
  generation: Generation,
  { from, to, seconds = String(defaultSeconds), packets = String(defaultPackets) }: WatchRequest,
  { write, isBehind, signal }: LineWriter<WatchLine>,
): Promise<void> {
  let names = view.names()
  const offsetMs = monotonicOffsetMs()
  const vxlanPort = vxlanPortOf(generation)
  const most = Number(packets)
  /** Why it ends; undefined when the reader has gone. */
  const ended = Promise.withResolvers<string | undefined>()
  let [seen, lost, isFull] = [0, 0, false]
  const tellLost = (): void => {
    if (lost > 0) write({ kind: 'lost', lost })
    if (isFull) write({ kind: 'lost' })
    lost = 0
    isFull = false
  }
  const onEvent = (event: WatchEvent): void => {
    if (seen >= most) return
    seen++
    if (isBehind()) lost++
    else write({ kind: 'packet', packet: told(event, names, offsetMs, vxlanPort) })
    if (seen === most) ended.resolve(`${most} packets were seen`)
  }
  const onFull = (): void => {
    isFull = true
  }
  const pair = { src: Addr.parse(from), dst: Addr.parse(to) }
  using _watch = view.watchesOf(generation).add(pair, { onEvent, onFull })
  const check = setInterval(() => {
    try {
      if (!isBehind()) tellLost()
      if (view.generation !== generation) return ended.resolve('the programs of this node are others now, or gone')
      view.watchesOf(generation).settle()
      // a pod may have come meanwhile
      names = view.names()
    } catch (error) {
      ended.resolve(messageOf(error))
    }
  }, checkMs)
  const limit = setTimeout(() => ended.resolve(`${seconds} s are over`), Number(seconds) * 1000)
  signal.addEventListener('abort', () => ended.resolve(undefined), { once: true })
  if (signal.aborted) ended.resolve(undefined)
  try {
    const why = await ended.promise
    if (why === undefined) return
    tellLost()
    write({ kind: 'end', end: why })
  } finally {
    clearInterval(check)
    clearTimeout(limit)
  }
}

function watchAnswer(view: DatapathView, wish: WatchRequest): StreamAnswer<WatchLine> | HttpRefusal {
  const { generation } = view
  if (generation === undefined) return noPrograms(view)
  if (Addr.parse(wish.from).family !== Addr.parse(wish.to).family)
    return { status: 400, body: `to: ${wish.to} is of another family than ${wish.from}\n` }
  if (!view.watchesOf(generation).hasRoom)
    return { status: 503, body: 'as many pairs of addresses as can be are watched already\n' }
  return { status: 200, stream: (out) => follow(view, generation, wish, out) }
}

export function datapathHandlers(view: DatapathView): Handlers {
  return {
    datapath: async () => ({ status: 200, body: await datapathReportOf(view) }),
    datapathMap: ({ map }) => mapAnswer(view, map),
    datapathWatch: (wish) => watchAnswer(view, wish),
  }
}
