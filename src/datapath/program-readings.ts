// What those who tell of the programs of the eBPF datapath see of them: how they are attached, what they count, what their maps hold, and
// packets that are watched. The agent's work with the programs goes by programs.ts.
export { type Generation } from './ebpf/generation.ts'
export { type HookState, readAttached } from './ebpf/read-attached.ts'
export {
  type Count,
  type DropCount,
  forgetDrops,
  type PodTraffic,
  readDrops,
  readTraffic,
  type Share,
  shareOf,
} from './ebpf/read-counters.ts'
export { entryCount, mapPurposes, mapTable, type Names, slotsUsed } from './ebpf/read-maps.ts'
export { clearWatches, type WatchEvent, Watches } from './ebpf/watches.ts'
