// What has been written of a form: the names and elements that a later change may have to take out, when the form no longer has them.
import { put } from '#/lib/put.ts'
import { type ClassForm, type ClassId, type Form, type FormChange, type LocalPodForm } from '#/policy/form.ts'
import { type Direction, directions } from '#/policy/policy.ts'
import { classChains } from './class-chains.ts'
import { type Entry, entriesOf } from './entries.ts'
import { peerSetObjects, portSetObjects } from './inet-table.ts'
import { policyChain } from './names.ts'

/** The names of its chains. */
export type WrittenClass = Pick<ClassForm, 'id' | 'direction'> & { readonly chains: readonly string[] }

export type Written = {
  /** By host device. */
  readonly locals: ReadonlyMap<string, LocalPodForm>
  /** By the text of the address. */
  readonly entries: Readonly<Record<Direction, ReadonlyMap<string, Entry>>>
  readonly classes: ReadonlyMap<ClassId, WrittenClass>
  /** The names of the chains of each policy, and of the sets of each kind. */
  readonly policies: ReadonlyMap<string, readonly string[]>
  readonly peerSets: ReadonlyMap<string, readonly string[]>
  readonly portSets: ReadonlyMap<string, readonly string[]>
}

export class WrittenForm implements Written {
  readonly locals = new Map<string, LocalPodForm>()
  readonly entries: Record<Direction, Map<string, Entry>> = { ingress: new Map(), egress: new Map() }
  readonly classes = new Map<ClassId, WrittenClass>()
  readonly policies = new Map<string, readonly string[]>()
  readonly peerSets = new Map<string, readonly string[]>()
  readonly portSets = new Map<string, readonly string[]>()

  /** As after the whole table of a form was written. */
  static of(form: Form): WrittenForm {
    const written = new WrittenForm()
    written.note(form, form)
    return written
  }

  /** Notes that the change that led to this form was written. */
  note(form: Form, change: Pick<FormChange, 'locals' | 'classes' | 'policies' | 'peerSets' | 'namedPortSets'>): void {
    this.#noteLocals(change.locals)
    for (const id of change.peerSets.keys()) {
      const set = form.peerSets.get(id)
      put(
        this.peerSets,
        id,
        set && peerSetObjects({ families: form.families, membersOf: () => new Map() }, set).map(({ name }) => name),
      )
    }
    for (const id of change.namedPortSets.keys()) {
      const set = form.namedPortSets.get(id)
      put(
        this.portSets,
        id,
        set && portSetObjects({ families: form.families, namedPortsOf: () => [] }, set).map(({ name }) => name),
      )
    }
    for (const id of change.policies.keys())
      put(this.policies, id, form.policies.get(id)?.tier === 'NetworkPolicy' ? [policyChain(id)] : undefined)
    for (const id of touchedClasses(form, change)) {
      const one = form.classes.get(id)
      const chains = one && classChains(form, one).map(({ name }) => name)
      put(this.classes, id, one && chains && { id, direction: one.direction, chains })
    }
  }

  #noteLocals(locals: FormChange['locals'] | Form['locals']): void {
    for (const direction of directions) {
      const entries = this.entries[direction]
      for (const device of locals.keys())
        for (const addr of this.locals.get(device)?.addrs ?? [])
          if (entries.get(String(addr))?.device === device) entries.delete(String(addr))
      for (const [addr, entry] of entriesOf(direction, locals)) entries.set(addr, entry)
    }
    for (const [device, local] of locals) put(this.locals, device, local)
  }
}

/** Classes that are new or gone, and those in which rules of changed policies are written out. */
export function touchedClasses(
  form: Form,
  { classes, policies }: Pick<FormChange, 'classes' | 'policies'>,
): Set<string> {
  const touched = new Set(classes.keys())
  const isInline = [...policies.values()].some((policy) => policy !== undefined && policy.tier !== 'NetworkPolicy')
  if (!isInline) return touched
  for (const { id, policies: tiers } of form.classes.values())
    if ([...tiers.Admin, ...tiers.Baseline].some((policy) => policies.has(policy))) touched.add(id)
  return touched
}
