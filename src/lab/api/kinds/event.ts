// Events in their two forms: core/v1 and events.k8s.io/v1 are two views of the same objects (pkg/apis/events/v1/conversion.go).
import { invalidValue, type Cause } from '../api-error.ts'
import { dig, text, type Json } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { age, column } from './cells.ts'
import type { Column, Resource, Strategy } from './resource.ts'

const shared = ['eventTime', 'series', 'action', 'reason', 'type', 'related'] as const

/** events.k8s.io member -> core member. */
const renamed = {
  reportingController: 'reportingComponent',
  reportingInstance: 'reportingInstance',
  regarding: 'involvedObject',
  note: 'message',
  deprecatedSource: 'source',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedCount: 'count',
} as const

function rename(event: KubeObject, apiVersion: string, names: readonly (readonly [string, string])[]): KubeObject {
  const pairs = [...shared.map((name) => [name, name] as const), ...names]
  const members = pairs.flatMap(([from, to]): [string, Json][] =>
    event[from] === undefined ? [] : [[to, event[from]]],
  )
  return { apiVersion, kind: 'Event', metadata: event.metadata, ...Object.fromEntries(members) }
}

export const eventsView: NonNullable<Resource['view']> = {
  fromStored: (event) =>
    rename(
      event,
      'events.k8s.io/v1',
      Object.entries(renamed).map(([to, from]) => [from, to]),
    ),
  toStored: (event) => rename(event, 'v1', Object.entries(renamed)),
}

function validate(event: KubeObject): Cause[] {
  const namespace = text(dig(event, 'involvedObject', 'namespace'))
  // the events of an object without namespace are in "default"
  const wanted = namespace === '' ? 'default' : namespace
  const actual = event.metadata.namespace ?? ''
  if (actual === wanted || (namespace === '' && actual === 'kube-system')) return []
  return [invalidValue('involvedObject.namespace', namespace, 'does not match event.namespace')]
}

export const eventStrategy: Strategy = { validate }

function object(event: KubeObject): string {
  const kind = text(dig(event, 'involvedObject', 'kind')).toLowerCase()
  const name = text(dig(event, 'involvedObject', 'name'))
  return name === '' ? kind : `${kind}/${name}`
}

function firstSeen(event: KubeObject): Json | undefined {
  return event['firstTimestamp'] ?? event['eventTime']
}

function lastSeen(event: KubeObject): Json | undefined {
  return dig(event, 'series', 'lastObservedTime') ?? event['lastTimestamp'] ?? firstSeen(event)
}

function count(event: KubeObject): number {
  const value = dig(event, 'series', 'count') ?? event['count']
  return typeof value === 'number' ? value : 1
}

function source(event: KubeObject): string {
  const component = text(dig(event, 'source', 'component')) || text(event['reportingComponent'])
  const host = text(dig(event, 'source', 'host')) || text(event['reportingInstance'])
  return host === '' ? component : `${component}, ${host}`
}

export const eventColumns: readonly Column[] = [
  column('Last Seen', (event, now) => age(lastSeen(event), now)),
  column('Type', (event) => text(event['type'])),
  column('Reason', (event) => text(event['reason'])),
  column('Object', object),
  column('Subobject', (event) => text(dig(event, 'involvedObject', 'fieldPath')), { wide: true }),
  column('Source', source, { wide: true }),
  column('Message', (event) => text(event['message']).trim()),
  column('First Seen', (event, now) => age(firstSeen(event), now), { wide: true }),
  column('Count', count, { wide: true, type: 'integer' }),
  column('Name', (event) => event.metadata.name ?? '', { wide: true, format: 'name' }),
]

/** The fields for selectors on core events; events.k8s.io has others. */
export const eventFields: Resource['selectableFields'] = {
  ...Object.fromEntries(
    ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((key) => [
      `involvedObject.${key}`,
      (event: KubeObject) => text(dig(event, 'involvedObject', key)),
    ]),
  ),
  reason: (event) => text(event['reason']),
  reportingComponent: (event) => text(event['reportingComponent']),
  source: (event) => text(dig(event, 'source', 'component')) || text(event['reportingComponent']),
  type: (event) => text(event['type']),
}

export const newEventFields: Resource['selectableFields'] = Object.fromEntries(
  Object.entries(eventFields).map(([path, value]) => [
    path.replace('involvedObject.', 'regarding.').replace('reportingComponent', 'reportingController'),
    value,
  ]),
)
