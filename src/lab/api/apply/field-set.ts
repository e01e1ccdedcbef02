// Sets of field paths, as server-side apply keeps them per manager: the FieldsV1 format of metadata.managedFields
// (KEP-555; structured-merge-diff package fieldpath).
//
// A path element is "f:<member>", "k:<keys as JSON>" (an item of a list merged by keys) or "v:<value as JSON>" (an item
// of a set). A node of the tree is a member itself (`isMember`), or only leads to members.
import { field, isObject, parseJson, type Json, type JsonObject } from '../json.ts'

export type FieldSet = { readonly isMember: boolean; readonly children: ReadonlyMap<string, FieldSet> }

export const emptySet: FieldSet = { isMember: false, children: new Map() }
export const leaf: FieldSet = { isMember: true, children: new Map() }

export function isEmpty(set: FieldSet): boolean {
  return !set.isMember && set.children.size === 0
}

/** Builds a node, dropping children that hold nothing. */
export function node(isMember: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  return { isMember, children: new Map([...children].filter(([, child]) => !isEmpty(child))) }
}

function combine(left: FieldSet, right: FieldSet, keep: (inLeft: boolean, inRight: boolean) => boolean): FieldSet {
  const names = new Set([...left.children.keys(), ...right.children.keys()])
  const children = [...names].map(
    (name) => [name, combine(left.children.get(name) ?? emptySet, right.children.get(name) ?? emptySet, keep)] as const,
  )
  return node(keep(left.isMember, right.isMember), children)
}

export const union = (left: FieldSet, right: FieldSet): FieldSet => combine(left, right, (a, b) => a || b)
export const difference = (left: FieldSet, right: FieldSet): FieldSet => combine(left, right, (a, b) => a && !b)
export const intersection = (left: FieldSet, right: FieldSet): FieldSet => combine(left, right, (a, b) => a && b)

/** `left` without the members of `right` and everything below them. */
export function differenceDeep(left: FieldSet, right: FieldSet): FieldSet {
  if (right.isMember) return emptySet
  return node(
    left.isMember,
    [...left.children].map(([name, child]) => [name, differenceDeep(child, right.children.get(name) ?? emptySet)]),
  )
}

/** All member paths, each a list of path elements. */
export function* paths(set: FieldSet, prefix: readonly string[] = []): Generator<readonly string[]> {
  if (set.isMember) yield prefix
  for (const [name, child] of set.children) yield* paths(child, [...prefix, name])
}

/** Reads FieldsV1; malformed parts are left out, because a stored object must stay readable. */
export function fromFieldsV1(value: Json | undefined): FieldSet {
  if (!isObject(value)) return emptySet
  const names = Object.keys(value).filter((name) => name !== '.')
  if (names.length === 0) return leaf
  return node(
    Object.hasOwn(value, '.'),
    names.filter(isElement).map((name) => [name, fromFieldsV1(field(value, name))]),
  )
}

export function toFieldsV1(set: FieldSet): JsonObject {
  const members = [...set.children].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const own: [string, JsonObject][] = set.isMember && set.children.size > 0 ? [['.', {}]] : []
  return Object.fromEntries([
    ...own,
    ...members.map(([name, child]) => [name, toFieldsV1(child)] as [string, JsonObject]),
  ])
}

function isElement(name: string): boolean {
  if (name.startsWith('f:')) return true
  if (!/^[kv]:/.test(name)) return false
  try {
    JSON.parse(name.slice(2))
    return true
  } catch {
    return false
  }
}

/** A path as conflicts show it: `.spec.containers[name="a"].image`. */
export function showPath(path: readonly string[]): string {
  return path.map(showElement).join('')
}

function showElement(name: string): string {
  const rest = name.slice(2)
  if (name.startsWith('f:')) return `.${rest}`
  if (name.startsWith('v:')) return `[=${rest}]`
  const keys = parseJson(rest)
  return `[${Object.entries(isObject(keys) ? keys : {})
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(',')}]`
}
