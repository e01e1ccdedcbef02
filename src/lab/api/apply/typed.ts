// Objects seen through their schema, for server-side apply: which fields a value sets, how two versions differ, how an
// applied configuration merges in, how fields are taken out (structured-merge-diff package typed).
import { canonical, deepEqual, field, isArray, isObject, list, type Json } from '../json.ts'
import type { SchemaNode } from '../schema/schema.ts'
import { emptySet, isEmpty, leaf, node, union, type FieldSet } from './field-set.ts'

type Type = SchemaNode | undefined
type Shape = 'atomic' | 'members' | 'set' | 'map'

/** How ownership works for a value of this type: as a whole, by member, or by list item. */
function shapeOf(value: Json | undefined, type: Type): Shape {
  const schema = type?.schema
  if (isObject(value)) return schema?.['x-kubernetes-map-type'] === 'atomic' ? 'atomic' : 'members'
  if (!isArray(value)) return 'atomic'
  const listType = schema?.['x-kubernetes-list-type']
  return listType === 'set' || listType === 'map' ? listType : 'atomic'
}

/** The children of a value by path element; undefined for values that are owned as a whole. */
function childrenOf(value: Json | undefined, type: Type): Map<string, Json> | undefined {
  const shape = shapeOf(value, type)
  if (shape === 'atomic') return undefined
  if (isObject(value)) {
    const members = Object.entries(value).filter((entry): entry is [string, Json] => entry[1] !== undefined)
    return new Map(members.map(([key, member]) => [`f:${key}`, member]))
  }
  return new Map(list(value).map((item) => [itemElement(item, type!, shape), item]))
}

function itemElement(item: Json, type: SchemaNode, shape: Shape): string {
  if (shape === 'set') return `v:${canonical(item)}`
  const keys = (type.schema['x-kubernetes-list-map-keys'] ?? []).toSorted()
  const values = keys.map((key): [string, Json | undefined] => [
    key,
    field(item, key) ?? type.items?.property(key)?.schema.default,
  ])
  return `k:${JSON.stringify(Object.fromEntries(values.filter(([, value]) => value !== undefined)))}`
}

function typeAt(type: Type, element: string): Type {
  return element.startsWith('f:') ? type?.member(element.slice(2)) : type?.items
}

/** Whether an element is itself a field: items of lists and of maps are, a struct's members only lead to their leaves. */
function isItself(type: Type, element: string): boolean {
  return !element.startsWith('f:') || type?.property(element.slice(2)) === undefined
}

/** The fields that `value` sets. */
export function fieldsOf(value: Json | undefined, type: Type): FieldSet {
  if (value === undefined) return emptySet
  const children = childrenOf(value, type)
  if (children === undefined || children.size === 0) return leaf
  return node(
    false,
    [...children].map(([element, child]) => {
      const below = fieldsOf(child, typeAt(type, element))
      return [element, isItself(type, element) ? union(below, leaf) : below]
    }),
  )
}

export type Difference = { readonly changed: FieldSet; readonly removed: FieldSet }

/** The differences from `before` to `after`: fields added or modified, and fields removed. */
export function compare(before: Json | undefined, after: Json | undefined, type: Type): Difference {
  if (deepEqual(before, after)) return { changed: emptySet, removed: emptySet }
  const left = childrenOf(before, type)
  const right = childrenOf(after, type)
  if (left === undefined || right === undefined) {
    if (after === undefined) return { changed: emptySet, removed: fieldsOf(before, type) }
    return { changed: fieldsOf(after, type), removed: left === undefined ? emptySet : fieldsOf(before, type) }
  }
  const changed: [string, FieldSet][] = []
  const removed: [string, FieldSet][] = []
  for (const element of new Set([...left.keys(), ...right.keys()])) {
    const below = compare(left.get(element), right.get(element), typeAt(type, element))
    const itself = isItself(type, element)
    changed.push([element, itself && !left.has(element) ? union(below.changed, leaf) : below.changed])
    removed.push([element, itself && !right.has(element) ? union(below.removed, leaf) : below.removed])
  }
  return { changed: node(false, changed), removed: node(false, removed) }
}

/** The live value with an applied configuration merged in. */
export function merge(live: Json | undefined, config: Json, type: Type): Json {
  const left = childrenOf(live, type)
  const right = childrenOf(config, type)
  if (left === undefined || right === undefined || isArray(live) !== isArray(config)) return config
  const order = isArray(config) ? mergedOrder([...left.keys()], [...right.keys()]) : [...left.keys(), ...right.keys()]
  const merged = new Map<string, Json>()
  for (const element of order) {
    const child = right.get(element)
    const before = left.get(element)
    merged.set(element, child === undefined ? before! : merge(before, child, typeAt(type, element)))
  }
  return rebuild(merged, isArray(config))
}

/** Items in the order of the applied list; items that it does not name stay behind the item they followed. */
function mergedOrder(live: readonly string[], applied: readonly string[]): string[] {
  const wanted = new Set(applied)
  const order: string[] = []
  let next = 0
  for (const element of live) {
    if (!wanted.has(element)) order.push(element)
    else while (next < applied.length && !order.includes(element)) order.push(applied[next++]!)
  }
  return [...order, ...applied.slice(next)]
}

/** `value` without the fields of `set`; items and members with parts in `kept` stay. */
export function removeFields(value: Json, set: FieldSet, kept: FieldSet, type: Type): Json | undefined {
  if (isEmpty(set)) return value
  if (set.isMember && isEmpty(kept)) return undefined
  const children = childrenOf(value, type)
  if (children === undefined) return value
  const left = new Map<string, Json>()
  for (const [element, child] of children) {
    const below = removeFields(
      child,
      set.children.get(element) ?? emptySet,
      kept.children.get(element) ?? emptySet,
      typeAt(type, element),
    )
    if (below !== undefined) left.set(element, below)
  }
  // a struct or list without fields left is removed too, unless a manager owns it as a whole
  if (left.size === 0 && children.size > 0 && isEmpty(kept)) return undefined
  return rebuild(left, isArray(value))
}

function rebuild(children: ReadonlyMap<string, Json>, asArray: boolean): Json {
  if (asArray) return [...children.values()]
  return Object.fromEntries([...children].map(([element, child]) => [element.slice(2), child]))
}
