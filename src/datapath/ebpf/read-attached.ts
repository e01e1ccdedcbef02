// Reads which programs are attached where, and who else is at the same hooks.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Attached, listAttached } from '#/kernel/bpf/attached.ts'
import { listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { attachmentKey, type BpfHook } from '#/model/bpf.ts'
import { isPodDevice } from '#/model/names.ts'
import { type ProgramName, programNames } from '#/wire/bpf/maps.ts'
import { type Generation } from './generation.ts'
import { podHooks } from './pod-plug.ts'
import { type EbpfState } from './state.ts'

export type HookState = {
  readonly device: string
  readonly hook: BpfHook
  /** Undefined when none of ours is attached there. */
  readonly program: ProgramName | undefined
  readonly mechanism: Attached['mechanism'] | undefined
  /** Whether the program is of the generation that the agent keeps. */
  readonly isCurrent: boolean
  /** Programs and filters of others, in the order in which they see packets. */
  readonly before: readonly string[]
  readonly after: readonly string[]
}

/** Hooks in one turn of the event loop: each costs some system calls, and a node may have a thousand pods. */
const hooksPerTurn = 32

type Place = { readonly device: string; readonly hook: BpfHook }

/** The hooks where programs of ours are, and those of pods' devices where they should be. */
function placesOf(state: EbpfState, found: readonly Place[]): Place[] {
  const ofPods = [...state.plugged.keys()].flatMap((device) => podHooks.map(([hook]): Place => ({ device, hook })))
  return [...new Map([...found, ...ofPods].map((place) => [attachmentKey(place), place])).values()]
}

function otherName({ name, mechanism, programId }: Attached): string {
  return `${name || `program ${programId}`} (${mechanism})`
}

function stateOf(
  place: Place,
  all: readonly Attached[],
  linked: number | undefined,
  generation: Generation,
): HookState {
  const index = all.findIndex(
    ({ filter, programId }) => filter?.isOurs ?? (linked !== undefined && programId === linked),
  )
  const others = (some: readonly Attached[]): string[] => some.map(otherName)
  if (index < 0)
    return { ...place, program: undefined, mechanism: undefined, isCurrent: false, before: others(all), after: [] }
  const { programId } = all[index]!
  const program = programNames.find((name) => generation.program(name).info.id === programId)
  return {
    ...place,
    // one of another generation has the same name there, which the kernel cuts
    program: program ?? programNames.find((name) => name.startsWith(all[index]!.name || name)),
    mechanism: all[index]!.mechanism,
    isCurrent: program !== undefined,
    before: others(all.slice(0, index)),
    after: others(all.slice(index + 1)),
  }
}

/** Throws BpfError and KernelError. */
export async function readAttached(state: EbpfState, generation: Generation, netlink: Netlink): Promise<HookState[]> {
  const links = listLinks(netlink)
  const devices = new Map(links.map((link) => [link.name, link]))
  // pods' devices are looked at in any case
  const others = links.filter(({ name }) => !isPodDevice(name))
  const found = state.hooks.find(netlink, others)
  const programIds = new Map(found.map((each) => [attachmentKey(each), each.programId]))
  const states: HookState[] = []
  const places = placesOf(state, found)
  for (const [number, place] of places.entries()) {
    if (number % hooksPerTurn === hooksPerTurn - 1) await nextTurn()
    const device = devices.get(place.device)
    // what is left of an attachment to a device that is gone sees no packet
    if (device === undefined && !state.plugged.has(place.device)) continue
    const all = device === undefined ? [] : listAttached(netlink, device, place.hook)
    states.push(stateOf(place, all, programIds.get(attachmentKey(place)), generation))
  }
  return states.toSorted((a, b) => (attachmentKey(a) < attachmentKey(b) ? -1 : 1))
}
