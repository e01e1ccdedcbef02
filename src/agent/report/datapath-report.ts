// The report of the datapath: programs, hooks, maps, counters and drops, as the kernel has them at this moment.
import { type DatapathReport, type PodTrafficReport, type ProgramsReport } from '#/api/schemas/datapath.ts'
import {
  type Count,
  type DropCount,
  entryCount,
  type Generation,
  mapPurposes,
  type Names,
  type PodTraffic,
  readAttached,
  type DeniedCount,
  readDenied,
  readDrops,
  readTraffic,
  ruleText,
  slotsUsed,
} from '#/datapath/programs.ts'
import { mapMemoryBytes } from '#/kernel/bpf/map-memory.ts'
import { datapathSource } from '#/settings/precedence.ts'
import { bootClock } from '#/sys/boot-clock.ts'
import {
  configFlags,
  configStruct,
  indexStruct,
  mapLayouts,
  type MapLayout,
  type MapName,
  programNames,
} from '#/wire/bpf/maps.ts'
import { type DropReasonName } from '#/wire/bpf/reasons.ts'
import { hookName, reasonTold, type TrafficWay } from '#/wire/bpf/words.ts'
import { type DatapathView } from './datapath-view.ts'
import { podShare } from './drop-history.ts'

const nanosecondsPerMs = 1e6
/** Of an array of counters all entries are always there: what counts is how many pods have a slot. */
const countersOfSlots: readonly MapName[] = ['cw_traffic', 'cw_budgets']

function stateOf(generation: Generation): ProgramsReport['state'] {
  const bytes = generation.map('cw_config').get(indexStruct.encode({ index: 0 }))
  const { flags, jiffies_hz } = bytes ? configStruct.decode(bytes) : { flags: 0, jiffies_hz: 0 }
  return {
    isDraining: (flags & configFlags.draining) !== 0,
    isWatching: (flags & configFlags.watching) !== 0,
    keepsConnections: jiffies_hz !== 0,
  }
}

function programsOf(generation: Generation): ProgramsReport['programs'] {
  const bootMs = Date.now() - bootClock().sinceBootMs()
  return programNames.map((name) => {
    const { id, tag, xlatedBytes, loadedAtNs } = generation.program(name).info
    const loadedMs = Math.round(bootMs + Number(loadedAtNs) / nanosecondsPerMs)
    return { name, id, tag, instructions: xlatedBytes / 8, loadedMs }
  })
}

function mapsOf(generation: Generation): ProgramsReport['maps'] {
  return (Object.entries(mapLayouts) as [MapName, MapLayout][]).map(([name, { type, maxEntries }]) => {
    const isOfSlots = countersOfSlots.includes(name)
    const entries = isOfSlots ? slotsUsed(generation) : entryCount(generation, name)
    const memoryBytes = mapMemoryBytes(generation.map(name))
    return {
      name,
      type,
      purpose: mapPurposes[name],
      maxEntries: isOfSlots ? mapLayouts.cw_budgets.maxEntries : maxEntries,
      ...(entries !== undefined && { entries }),
      ...(memoryBytes !== undefined && { memoryBytes }),
    }
  })
}

const waysOf = ({ local, native, tunnel, stack }: Readonly<Record<TrafficWay, Count>>) => ({
  local,
  native,
  tunnel,
  stack,
})

function podsOf(view: DatapathView, traffic: ReadonlyMap<number, PodTraffic>, names: Names): PodTrafficReport[] {
  const nowMs = performance.now()
  const pods = [...traffic].flatMap(([index, each]): PodTrafficReport[] => {
    const [pod, device] = [names.pod(index), names.device(index)]
    // of a pod that is just being made, or removed
    if (pod === undefined || device === undefined) return []
    const lately = view.shares.lately(index, podShare(each), nowMs)
    return [{ pod, device, sent: waysOf(each.from_pod), received: waysOf(each.to_pod), ...(lately && { lately }) }]
  })
  return pods.toSorted((a, b) => (a.pod < b.pod ? -1 : 1))
}

const policyReason: DropReasonName = 'policy'

/** What denied, by the device at which the program was: one is on a pod's device, or on one where packets come from other nodes. */
function rulesAt(
  denied: readonly DeniedCount[],
  { device }: DropCount,
): NonNullable<ProgramsReport['drops'][number]['rules']> {
  return denied
    .filter((each) => each.device === device)
    .toSorted((a, b) => b.packets - a.packets)
    .map(({ rule, packets, bytes }) => ({ rule: ruleText(rule), packets, bytes }))
}

function dropsOf(view: DatapathView, generation: Generation, names: Names): ProgramsReport['drops'] {
  const [drops, denied] = [readDrops(generation), readDenied(generation)]
  return drops.map((drop) => {
    const { device, hook, reason, packets, bytes } = drop
    const { name, text, remedy } = reasonTold(reason)
    const [pod, lastMs] = [names.pod(device), view.drops.lastMs(drop, Date.now())]
    return {
      ...(pod !== undefined && { pod }),
      device: names.device(device) ?? '',
      hook: hookName(hook) ?? `hook ${hook}`,
      reason: name,
      text,
      remedy,
      packets,
      bytes,
      ...(name === policyReason && { rules: rulesAt(denied, drop) }),
      ...(lastMs !== undefined && { lastMs }),
    }
  })
}

async function programsReport(view: DatapathView, generation: Generation): Promise<ProgramsReport> {
  const { ebpf, netlink, endpoints } = view.deps
  const pods = new Map(endpoints().map(({ hostDevice, pod }) => [hostDevice, pod]))
  const names = view.names()
  const atStart = {
    generation: generation.name,
    folder: ebpf.folder,
    state: stateOf(generation),
    programs: programsOf(generation),
    maps: mapsOf(generation),
    drops: dropsOf(view, generation, names),
  }
  const traffic = await readTraffic(generation)
  const hooks = await readAttached(ebpf, generation, netlink)
  return {
    ...atStart,
    pods: podsOf(view, traffic, names),
    hooks: hooks.map(({ device, hook, program, mechanism, isCurrent, before, after }) => {
      const pod = pods.get(device)
      return {
        device,
        hook,
        isCurrent,
        before,
        after,
        ...(pod !== undefined && { pod }),
        ...(program && { program }),
        ...(mechanism && { mechanism }),
      }
    }),
  }
}

/** Rejects with BpfError and KernelError. */
export async function datapathReportOf(view: DatapathView): Promise<DatapathReport> {
  const { nodeName, state, wanted } = view.deps
  const { generation } = view
  const said = wanted()
  const now = state()
  return {
    node: nodeName,
    ...(now && { datapath: now.name }),
    ...(now?.why !== undefined && { why: now.why }),
    wanted: { datapath: said.value, by: datapathSource(said.by) },
    ...(generation && { programs: await programsReport(view, generation) }),
  }
}
