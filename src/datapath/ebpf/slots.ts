// The slots of pods' counters. A pod keeps its slot for as long as its host device is there, also over restarts of the agent: slots are
// read back from the programs' maps. Pure.
import { maxSlots } from '#/wire/bpf/maps.ts'

export class Slots {
  /** By the index of the pod's host device. */
  readonly #slots = new Map<number, number>()
  readonly #used = new Set<number>()

  slotOf(device: number): number | undefined {
    return this.#slots.get(device)
  }

  /** Takes note of a slot that a device has; not where another one has it. */
  keep(device: number, slot: number): void {
    if (this.#slots.has(device) || this.#used.has(slot) || slot >= maxSlots) return
    this.#slots.set(device, slot)
    this.#used.add(slot)
  }

  /** The device's slot, or the lowest that is free: then `isNew`, and its counters are those of a former pod. Undefined when none is free. */
  take(device: number): { readonly slot: number; readonly isNew: boolean } | undefined {
    const known = this.#slots.get(device)
    if (known !== undefined) return { slot: known, isNew: false }
    for (let slot = 0; slot < maxSlots; slot++) {
      if (this.#used.has(slot)) continue
      this.keep(device, slot)
      return { slot, isNew: true }
    }
    return undefined
  }

  free(device: number): void {
    const slot = this.#slots.get(device)
    if (slot === undefined) return
    this.#slots.delete(device)
    this.#used.delete(slot)
  }

  /** Frees the slots of all devices but these. */
  retain(devices: ReadonlySet<number>): void {
    for (const device of this.#slots.keys()) if (!devices.has(device)) this.free(device)
  }
}
