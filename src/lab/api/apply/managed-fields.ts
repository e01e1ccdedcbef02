// metadata.managedFields: which manager set which field, updated on every write, and the server-side apply that is based on it (KEP-555;
// structured-merge-diff package merge, apiserver pkg/endpoints/handlers/fieldmanager).
import { ApiError, type Cause } from '../api-error.ts'
import { deepEqual, without, type Json, type JsonObject } from '../json.ts'
import { kubeObject, withMeta, type KubeObject, type ManagedFields } from '../objects.ts'
import type { SchemaNode } from '../schema/schema.ts'
import {
  difference,
  differenceDeep,
  emptySet,
  fromFieldsV1,
  intersection,
  isEmpty,
  leaf,
  node,
  paths,
  showPath,
  toFieldsV1,
  union,
  type FieldSet,
} from './field-set.ts'
import { compare, fieldsOf, merge, removeFields } from './typed.ts'

export type Manager = {
  readonly name: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string | undefined
  /** The time of this write, as metav1.Time. */
  readonly time: string
}

type Owned = { readonly entry: Omit<ManagedFields, 'fieldsV1' | 'fieldsType'>; readonly fields: FieldSet }

/** Fields that no manager owns: the server sets them, or they are the object's identity. */
const unowned = node(false, [
  ['f:apiVersion', leaf],
  ['f:kind', leaf],
  [
    'f:metadata',
    node(
      false,
      [
        'name',
        'namespace',
        'creationTimestamp',
        'selfLink',
        'uid',
        'generation',
        'managedFields',
        'resourceVersion',
        'deletionTimestamp',
        'deletionGracePeriodSeconds',
      ].map((name) => [`f:${name}`, leaf]),
    ),
  ],
])

/** The fields that managers may own: everything but the server's own metadata. */
function ownable(object: KubeObject, type: SchemaNode): FieldSet {
  return strip(fieldsOf(object, type))
}

function strip(set: FieldSet): FieldSet {
  const stripped = differenceDeep(set, unowned)
  const metadata = stripped.children.get('f:metadata')
  if (metadata === undefined || metadata.children.size > 0) return stripped
  return node(
    false,
    [...stripped.children].filter(([name]) => name !== 'f:metadata'),
  )
}

function read(object: KubeObject | undefined): Owned[] {
  return (object?.metadata.managedFields ?? []).map((entry) => ({ entry, fields: fromFieldsV1(entry.fieldsV1) }))
}

function isSame(owned: Owned, manager: Manager): boolean {
  const { entry } = owned
  return (
    entry.manager === manager.name &&
    entry.operation === manager.operation &&
    entry.apiVersion === manager.apiVersion &&
    (entry.subresource ?? '') === (manager.subresource ?? '')
  )
}

function write(object: KubeObject, owners: readonly Owned[]): KubeObject {
  const order = { Apply: 0, Update: 1 }
  const kept = owners
    .filter(({ fields }) => !isEmpty(fields))
    .toSorted(
      (a, b) =>
        order[a.entry.operation] - order[b.entry.operation] ||
        (a.entry.time ?? '').localeCompare(b.entry.time ?? '') ||
        a.entry.manager.localeCompare(b.entry.manager),
    )
  const managedFields = kept.map(({ entry, fields }): ManagedFields => ({
    ...entry,
    fieldsType: 'FieldsV1',
    fieldsV1: toFieldsV1(fields),
  }))
  return withMeta(object, { managedFields: managedFields.length === 0 ? undefined : managedFields })
}

function claim(manager: Manager, fields: FieldSet): Owned {
  const { name, operation, apiVersion, subresource, time } = manager
  return {
    entry: { manager: name, operation, apiVersion, time, ...(subresource === undefined ? {} : { subresource }) },
    fields,
  }
}

/** Takes the fields that a write changed away from the other managers. */
function release(owners: readonly Owned[], changed: FieldSet, removed: FieldSet): Owned[] {
  return owners.map((owned) => ({ ...owned, fields: difference(difference(owned.fields, changed), removed) }))
}

/** Records a create or update. `live` is the stored object, undefined for a create; `next` may carry managedFields to reset to. */
export function trackUpdate(
  live: KubeObject | undefined,
  next: KubeObject,
  type: SchemaNode,
  manager: Manager,
): KubeObject {
  const owners = read(next.metadata.managedFields === undefined ? live : next)
  const before = live === undefined ? undefined : live
  const { changed, removed } = compare(before, next, type)
  const gained = strip(changed)
  const mine = owners.find((owned) => isSame(owned, manager))
  const others = release(
    owners.filter((owned) => owned !== mine),
    gained,
    removed,
  )
  if (isEmpty(gained) && (mine === undefined || isEmpty(intersection(mine.fields, removed)))) {
    return write(next, mine === undefined ? others : [...others, mine])
  }
  const fields = union(difference(mine?.fields ?? emptySet, removed), gained)
  return write(next, [...others, claim(manager, fields)])
}

/**
 * Server-side apply. Returns the new object. Without `force`, which takes fields over, throws a 409 ApiError whose causes name the
 * conflicting fields and their managers.
 */
export function applyConfiguration(
  live: KubeObject | undefined,
  config: KubeObject,
  type: SchemaNode,
  manager: Manager,
  force: boolean,
): KubeObject {
  const base = live ?? ({ apiVersion: config.apiVersion, kind: config.kind, metadata: {} } satisfies KubeObject)
  const owners = read(live)
  const mine = owners.find((owned) => isSame(owned, manager))
  const others = owners.filter((owned) => owned !== mine)
  const wanted = ownable(config, type)
  const merged = merge(base, withoutManagedFields(config), type)
  const kept = others.reduce((set, { fields }) => union(set, fields), wanted)
  const given = difference(mine?.fields ?? emptySet, kept)
  const pruned = kubeObject(removeFields(merged, given, kept, type))
  const { changed, removed } = compare(base, pruned, type)
  const disputed = others.filter(({ fields }) => !isEmpty(intersection(fields, changed)))
  if (disputed.length > 0 && !force) throw conflictOf(disputed, changed)
  const unchanged =
    mine !== undefined &&
    live !== undefined &&
    deepEqual(toFieldsV1(mine.fields), toFieldsV1(wanted)) &&
    isEmpty(strip(changed)) &&
    isEmpty(removed)
  return write(pruned, [...release(others, changed, removed), unchanged ? mine : claim(manager, wanted)])
}

function withoutManagedFields(config: KubeObject): JsonObject {
  return { ...config, metadata: without(config.metadata, 'managedFields') }
}

function conflictOf(disputed: readonly Owned[], changed: FieldSet): ApiError {
  const found = disputed.flatMap(({ entry, fields }) =>
    [...paths(intersection(fields, changed))].map((path) => ({ entry, path: showPath(path) })),
  )
  const causes = found.map(({ entry, path }): Cause => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${describe(entry)}`,
    field: path,
  }))
  const [first] = found
  const subject = disputed.length === 1 ? describe(disputed[0]!.entry) : 'multiple managers'
  const message =
    found.length === 1
      ? `Apply failed with 1 conflict: conflict with ${subject}: ${first!.path}`
      : `Apply failed with ${found.length} conflicts: ${disputed.length === 1 ? `conflicts with ${subject}:` : 'conflicts:'}\n${found.map(({ path, entry }) => `- ${path}${disputed.length === 1 ? '' : ` (${describe(entry)})`}`).join('\n')}`
  return new ApiError(409, 'Conflict', message, { causes })
}

function describe(entry: Owned['entry']): string {
  const using =
    entry.operation === 'Update'
      ? ` using ${entry.apiVersion}${entry.time === undefined ? '' : ` at ${entry.time}`}`
      : ''
  return `"${entry.manager}"${entry.subresource === undefined ? '' : ` with subresource "${entry.subresource}"`}${using}`
}

/** Whether two versions are equal apart from resourceVersion and the times in managedFields: a write that changes nothing is not stored. */
export function isSameContent(left: KubeObject, right: KubeObject): boolean {
  return deepEqual(content(left), content(right)) && deepEqual(ownership(left), ownership(right))
}

function content(object: KubeObject): JsonObject {
  return { ...object, metadata: without(object.metadata, 'managedFields', 'resourceVersion') }
}

function ownership(object: KubeObject): Json {
  return (object.metadata.managedFields ?? []).map((entry) => without(entry, 'time'))
}
