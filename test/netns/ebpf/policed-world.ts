// A World whose pods have policies: the maps are written as the agent would, from a form whose pods are those of the World.
import { type Form } from '#/policy/form.ts'
import { notPoliced, policedValue, policyMapNames } from '#/plan/policy-maps/entries.ts'
import { PolicyPlan } from '#/plan/policy-maps/plan.ts'
import { indexStruct, mapLayouts, maxSlots } from '#/wire/bpf/maps.ts'
import { PerCpuMap } from '../typed-map.ts'
import { pods, type World, type WorldPod } from './world.ts'

/** The pods of the World that have policies, by the host devices of the form. */
export const policedPods = new Map<string, WorldPod>([
  ['cwv0', pods.client],
  ['cwv1', pods.server],
  ['cwv2', pods.limited],
])

function clear(world: World): void {
  for (let slot = 0; slot < maxSlots; slot++)
    world.map('cw_policed').set(indexStruct.encode({ index: slot }), policedValue(notPoliced))
  for (const name of policyMapNames) for (const [key] of world.map(name).entries()) world.map(name).delete(key)
}

/** Writes all that follows from the form, in place of what is there. */
export function police(world: World, form: Form): void {
  clear(world)
  const plan = new PolicyPlan()
  for (const _ of plan.build(form));
  for (const map of policyMapNames) for (const { key, value } of plan.entries(map)) world.map(map).set(key, value)
  for (const [device, { slot }] of policedPods)
    world.map('cw_policed').set(indexStruct.encode({ index: slot }), policedValue(plan.policedOf(device)))
}

/** Packets that were denied, by the rule's number; those since the last time. */
export function takeDenied(world: World): Map<number, number> {
  const map = new PerCpuMap(world.map('cw_denied'), mapLayouts.cw_denied)
  const found = new Map<number, number>()
  for (const [key, values] of map.entries()) {
    const packets = values.reduce((sum, value) => sum + Number(value.packets), 0)
    found.set(key.rule, (found.get(key.rule) ?? 0) + packets)
    map.delete(key)
  }
  return found
}
