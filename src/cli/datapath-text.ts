// The report of a node's datapath as text. Pure.
import {
  type DatapathReport,
  type HookReport,
  type PodTrafficReport,
  type ProgramsReport,
} from '#/api/schemas/datapath.ts'
import { someOf } from '#/lib/some-of.ts'
import { table } from '#/lib/table.ts'
import { wrapWords } from '#/lib/wrap.ts'
import { ageAt } from './age.ts'

/** A pod with so many packets by the stack and none that was carried is told. */
const manyPackets = 1000
const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/** In units of 1000, with three digits. */
export function bytesText(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** power
  return `${power === 0 || value >= 100 ? Math.round(value) : Number(value.toPrecision(3))} ${units[power]}`
}

function countText({ packets, bytes }: { readonly packets: number; readonly bytes: number }): string {
  return packets === 0 ? '-' : `${packets} (${bytesText(bytes)})`
}

type Share = { readonly carried: number; readonly stack: number }

/** Never 100 % unless all of them were carried, nor 0 % when any was. */
export function shareText({ carried, stack }: Share): string {
  const all = carried + stack
  if (all === 0) return '-'
  const percent = Math.round((100 * carried) / all)
  return `${Math.min(carried < all ? 99 : 100, Math.max(carried > 0 ? 1 : 0, percent))} %`
}

/** With how many packets it is of: a share of few says little. */
function partText(share: Share): string {
  const all = share.carried + share.stack
  return all === 0 ? '-' : `${shareText(share)} of ${all}`
}

type Ways = PodTrafficReport['sent']

const shareOf = ({ local, native, tunnel, stack }: Ways): Share => ({
  carried: local.packets + native.packets + tunnel.packets,
  stack: stack.packets,
})

const sumOf = (shares: readonly Share[]): Share => ({
  carried: shares.reduce((sum, { carried }) => sum + carried, 0),
  stack: shares.reduce((sum, { stack }) => sum + stack, 0),
})

const listed = (text: string, width: number): string[] =>
  wrapWords(text, width === Infinity ? Infinity : width - 2).map((line, index) =>
    index === 0 ? `! ${line}` : `  ${line}`,
  )

function headLine({ node, datapath, why, wanted, programs }: DatapathReport): string {
  if (datapath === undefined) return `${node}: the datapath is not decided yet; wanted: ${wanted.datapath}`
  const wish = datapath === wanted.datapath ? `as ${wanted.by} says` : `${wanted.datapath} is wanted by ${wanted.by}`
  const parts = [
    `datapath ${datapath}, ${wish}`,
    why,
    datapath === 'bridge' && programs === undefined ? 'no programs' : undefined,
  ]
  return `${node}: ${parts.filter(Boolean).join('; ')}`
}

function othersText(hooks: readonly HookReport[]): string {
  const all = hooks.flatMap(({ before, after }) => [
    ...before.map((name) => `${name} before`),
    ...after.map((name) => `${name} after`),
  ])
  return [...new Set(all)].join(', ')
}

/** Where one program is attached: pods' devices are counted, all others named. */
function placesText(hooks: readonly HookReport[]): string {
  const groups = Map.groupBy(hooks, ({ hook, mechanism, pod, device }) =>
    JSON.stringify([hook, mechanism, pod === undefined ? device : '']),
  )
  const texts = [...groups.values()].map((group) => {
    const { hook, mechanism, pod, device } = group[0]!
    const others = othersText(group)
    const pods = `${group.length} ${group.length === 1 ? "pod's device" : "pods' devices"}`
    const old = group.some(({ isCurrent }) => !isCurrent) ? ', of another generation' : ''
    return `${hook} of ${pod === undefined ? device : pods} (${mechanism}${old})${others && `, beside ${others}`}`
  })
  return texts.join('; ') || 'nowhere'
}

function programsTable({ programs, hooks }: ProgramsReport, width: number, nowMs: number): string {
  const rows = programs.map(({ name, id, tag, instructions, loadedMs }) => [
    name,
    String(id),
    tag,
    String(instructions),
    ageAt(loadedMs, nowMs),
    placesText(hooks.filter(({ program }) => program === name)),
  ])
  return table(['PROGRAM', 'ID', 'TAG', 'INSTRUCTIONS', 'LOADED', 'ATTACHED AT'], rows, { width })
}

function mapRows({ maps }: ProgramsReport): string[][] {
  return maps.map(({ name, type, entries, maxEntries, memoryBytes, purpose }) => [
    name,
    type,
    entries === undefined ? '-' : String(entries),
    type === 'ringbuf' ? bytesText(maxEntries) : String(maxEntries),
    memoryBytes === undefined ? '-' : bytesText(memoryBytes),
    purpose,
  ])
}

/** The maps alone. */
export function renderMaps(report: DatapathReport, width: number): string {
  if (report.programs === undefined) return headLine(report)
  return `${report.node}\n${table(['MAP', 'TYPE', 'ENTRIES', 'ROOM', 'MEMORY', 'WHAT'], mapRows(report.programs), { width })}`
}

function podsTable({ pods }: ProgramsReport, width: number): string {
  const rows = pods.flatMap(({ pod, sent, received, lately }) =>
    (
      [
        ['sent', sent],
        ['received', received],
      ] as const
    ).map(([direction, ways]) => [
      pod,
      direction,
      ...[ways.local, ways.native, ways.tunnel, ways.stack].map(countText),
      shareText(shareOf(ways)),
      lately === undefined ? '-' : partText(lately[direction]),
    ]),
  )
  const columns = ['POD', 'PACKETS', 'LOCAL', 'NATIVE', 'TUNNEL', 'BY THE STACK', 'CARRIED', 'LATELY']
  return table(columns, rows, { width })
}

/** Rules that are named; of the others it says how many there are. */
const rulesNamed = 3

function rulesText(rules: NonNullable<ProgramsReport['drops'][number]['rules']>): string {
  if (rules.length === 0) return ''
  const named = rules.slice(0, rulesNamed).map(({ rule, packets }) => `${rule} (${packets})`)
  const more = rules.length > rulesNamed ? ` and ${rules.length - rulesNamed} more` : ''
  return `: ${named.join('; ')}${more}`
}

function dropsTable({ drops }: ProgramsReport, width: number, nowMs: number): string {
  const rows = drops
    .toSorted((a, b) => (b.lastMs ?? 0) - (a.lastMs ?? 0) || b.packets - a.packets)
    .map(({ pod, device, hook, packets, bytes, lastMs, text, remedy, rules = [] }) => [
      pod ?? (device || 'a device that is gone'),
      hook,
      countText({ packets, bytes }),
      lastMs === undefined ? 'before the agent started' : `${ageAt(lastMs, nowMs)} ago`,
      `${text}${rulesText(rules)}; remedy: ${remedy}`,
    ])
  return table(['DROPPED OF', 'BY', 'PACKETS', 'LAST', 'WHY'], rows, { width, labelledBy: [0] })
}

/** What does not stand out in tables, though it says that something is not as it should be. */
function warnings({ state, hooks, pods, maps }: ProgramsReport): string[] {
  const bare = hooks.filter(({ program }) => program === undefined)
  const isOld = hooks.some(({ program, isCurrent }) => program !== undefined && !isCurrent)
  const all = sumOf(pods.flatMap(({ sent, received }) => [shareOf(sent), shareOf(received)]))
  const idle = pods.filter(({ sent }) => shareOf(sent).carried === 0 && sent.stack.packets >= manyPackets)
  const full = maps.filter(({ entries, maxEntries }) => entries !== undefined && entries >= maxEntries)
  return [
    ...(state.isDraining
      ? ['draining: every packet goes to the stack, since the programs are about to be taken away']
      : []),
    ...(bare.length > 0
      ? [
          `no program at ${someOf(bare.map(({ device, hook }) => `${hook} of ${device}`))}: packets there take the way of the stack, and nothing checks their source`,
        ]
      : []),
    ...(isOld
      ? ['some programs are of another generation: an agent that is being replaced has not come to its end']
      : []),
    ...full.map(
      ({ name, maxEntries }) =>
        `${name} is full: it holds ${maxEntries} entries; what has none takes the way of the stack`,
    ),
    ...(all.carried === 0 && all.stack >= manyPackets
      ? [
          `no packet was carried, though ${all.stack} went by the stack; it has connections to Services, nodes and the outside, ICMP, and UDP without an answer in any case: when pods speak with pods by TCP, see whether connection tracking knows them: conntrack -L`,
        ]
      : idle.length > 0
        ? [
            `of ${someOf(idle.map(({ pod }) => pod))} no packet was carried, though more than ${manyPackets} went by the stack; those to Services, nodes and the outside do in any case`,
          ]
        : []),
  ]
}

function shareLine({ pods }: ProgramsReport): string {
  const of = (direction: 'sent' | 'received'): string => {
    const all = sumOf(pods.map((pod) => shareOf(pod[direction])))
    const lately = pods.flatMap((pod) => (pod.lately ? [pod.lately[direction]] : []))
    const recent = lately.length === 0 ? '' : `, lately ${partText(sumOf(lately))}`
    return `${shareText(all)} of ${all.carried + all.stack} packets that pods ${direction}${recent}`
  }
  return `carried past the stack: ${of('sent')}; ${of('received')}`
}

/** `nowMs` is a time since 1970. */
export function renderDatapath(report: DatapathReport, width: number, nowMs: number): string {
  const { programs } = report
  if (programs === undefined) return headLine(report)
  const { generation, folder, pods, drops, state } = programs
  return [
    headLine(report),
    `generation ${generation} in ${folder}${state.isWatching ? ', packets are watched' : ''}`,
    ...warnings(programs).flatMap((text) => listed(text, width)),
    '',
    programsTable(programs, width, nowMs),
    ...(pods.length === 0 ? [] : ['', shareLine(programs), podsTable(programs, width)]),
    ...(drops.length === 0 ? ['', 'nothing was dropped'] : ['', dropsTable(programs, width, nowMs)]),
  ].join('\n')
}
