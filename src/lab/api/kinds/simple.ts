// Kinds with little behaviour of their own: namespaces, leases, config maps, secrets, service accounts, services.
import { forbiddenField, type Cause } from '../api-error.ts'
import { deepEqual, dig, isObject, list, objects, text, type JsonObject } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { ageColumn, column, nameColumn, orNone } from './cells.ts'
import { labelFault } from './names.ts'
import type { Column, Strategy } from './resource.ts'

const size = (value: unknown): number => (isObject(value) ? Object.keys(value).length : 0)

export const namespaceColumns: readonly Column[] = [
  nameColumn,
  column('Status', (namespace) => text(dig(namespace, 'status', 'phase')), {
    description: 'The status of the namespace',
  }),
  ageColumn,
]

export const namespaceStrategy: Strategy = {
  validateName: labelFault,
  prepareCreate: (namespace) => ({ ...namespace, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }),
  // every namespace carries its own name as a label, so that selectors can pick it (KEP-2161)
  complete: (namespace) => {
    const labels = { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': namespace.metadata.name ?? '' }
    return { ...namespace, metadata: { ...namespace.metadata, labels } }
  },
}

export const leaseColumns: readonly Column[] = [
  nameColumn,
  column('Holder', (lease) => text(dig(lease, 'spec', 'holderIdentity'))),
  ageColumn,
]

export const configMapColumns: readonly Column[] = [
  nameColumn,
  column('Data', (map) => String(size(map['data']) + size(map['binaryData']))),
  ageColumn,
]

export const secretColumns: readonly Column[] = [
  nameColumn,
  column('Type', (secret) => text(secret['type'])),
  column('Data', (secret) => String(size(secret['data']))),
  ageColumn,
]

export const serviceAccountColumns: readonly Column[] = [
  nameColumn,
  column('Secrets', (account) => String(list(account['secrets']).length)),
  ageColumn,
]

function ports(service: KubeObject): string {
  const shown = objects(dig(service, 'spec', 'ports')).map(({ port, nodePort, protocol }) =>
    [Number(port), ...(nodePort === undefined ? [] : [Number(nodePort)])].join(':').concat(`/${text(protocol)}`),
  )
  return orNone(shown.join(','))
}

function selector(service: KubeObject): string {
  const labels = dig(service, 'spec', 'selector')
  return orNone(
    isObject(labels)
      ? Object.entries(labels)
          .map(([key, value]) => `${key}=${text(value)}`)
          .join(',')
      : '',
  )
}

export const serviceColumns: readonly Column[] = [
  nameColumn,
  column('Type', (service) => text(dig(service, 'spec', 'type'))),
  column('Cluster-IP', (service) => orNone(text(dig(service, 'spec', 'clusterIP')))),
  column('External-IP', (service) =>
    orNone(
      list(dig(service, 'spec', 'externalIPs'))
        .map(text)
        .join(','),
    ),
  ),
  column('Port(s)', ports),
  ageColumn,
  column('Selector', selector, { wide: true }),
]

export const serviceStrategy: Strategy = {
  validateName: labelFault,
  complete: (service) => {
    const spec = isObject(service['spec']) ? service['spec'] : {}
    const completed = objects(spec['ports']).map((port) => ({ protocol: 'TCP', targetPort: port['port']!, ...port }))
    return {
      ...service,
      spec: { type: 'ClusterIP', sessionAffinity: 'None', ...spec, ...(completed.length > 0 && { ports: completed }) },
    }
  },
}

function immutable(next: KubeObject, live: KubeObject): Cause[] {
  if (live['immutable'] !== true) return []
  return ['data', 'binaryData', 'immutable'].flatMap((key) =>
    deepEqual(next[key], live[key]) ? [] : [forbiddenField(key, 'field is immutable when `immutable` is set')],
  )
}

export const configMapStrategy: Strategy = { validateUpdate: immutable }

export const secretStrategy: Strategy = {
  complete: (secret) => {
    const written = isObject(secret['stringData']) ? secret['stringData'] : {}
    const encoded: JsonObject = Object.fromEntries(
      Object.entries(written).map(([key, value]) => [key, Buffer.from(text(value)).toString('base64')]),
    )
    const data = { ...(isObject(secret['data']) ? secret['data'] : {}), ...encoded }
    return { type: 'Opaque', ...secret, stringData: undefined, ...(Object.keys(data).length > 0 && { data }) }
  },
  validateUpdate: (next, live) => [
    ...immutable(next, live),
    ...(next['type'] === live['type'] ? [] : [forbiddenField('type', 'field is immutable')]),
  ],
}
