// Policies with something wrong in one of their rules.
import fc from 'fast-check'
import { type SpecObject } from './cluster-objects.ts'

/** Which place of an object is spoiled, whether it gets an unknown field or is replaced, and by what. */
export type Spoiler = { readonly place: number; readonly isExtra: boolean; readonly junk: unknown }

/** Junk that is valid nowhere but as the value of a label. */
export const spoilers: fc.Arbitrary<Spoiler> = fc.record({
  place: fc.nat(),
  isExtra: fc.boolean(),
  junk: fc.constantFrom<unknown[]>('junk!', -1, true, { nope: 1 }, [[1]]),
})

type Place = { readonly parent: Record<string, unknown>; readonly key: string }

function placesIn(value: unknown, places: Place[] = []): Place[] {
  if (typeof value !== 'object' || value === null) return places
  const parent = value as Record<string, unknown>
  for (const key of Object.keys(parent)) {
    places.push({ parent, key })
    placesIn(parent[key], places)
  }
  return places
}

/** The lists of rules of a policy, spoiled in one place; those that are absent stay so. */
export function spoiledRules({ spec }: SpecObject, { place: number, isExtra, junk }: Spoiler): Record<string, unknown> {
  const rules = { ingress: spec['ingress'], egress: spec['egress'] }
  const copy = JSON.parse(JSON.stringify(rules)) as Record<string, unknown>
  const places = placesIn(copy)
  const place = places[number % Math.max(places.length, 1)]
  if (place === undefined) return copy
  const { parent, key } = place
  const inner = parent[key]
  if (isExtra && typeof inner === 'object' && inner !== null && !Array.isArray(inner))
    Object.assign(inner, { nope: junk })
  else parent[key] = junk
  return copy
}
