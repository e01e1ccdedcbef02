// The built-in kinds.
import { dig, text } from '../json.ts'
import { coordinationTypes, coreTypes, eventTypes, extensionTypes } from '../schema/core-types.ts'
import { metaTypes } from '../schema/meta-types.ts'
import { networkTypes } from '../schema/network-types.ts'
import { definitionName, readTypes } from '../schema/notation.ts'
import { podTypes } from '../schema/pod-types.ts'
import { rbacTypes, workloadTypes } from '../schema/workload-types.ts'
import { SchemaNode, type Definitions } from '../schema/schema.ts'
import { ageColumn, nameColumn } from './cells.ts'
import { definitionColumns, definitionStrategy } from './definition.ts'
import { eventColumns, eventFields, eventStrategy, eventsView, newEventFields } from './event.ts'
import { networkPolicyColumns, networkPolicyStrategy } from './network-policy.ts'
import { nodeColumns, nodeStrategy } from './node.ts'
import { podColumns } from './pod-columns.ts'
import { podStrategy } from './pod.ts'
import type { Resource } from './resource.ts'
import * as simple from './simple.ts'

const packages = {
  core: 'io.k8s.api.core.v1',
  apps: 'io.k8s.api.apps.v1',
  coordination: 'io.k8s.api.coordination.v1',
  events: 'io.k8s.api.events.v1',
  networking: 'io.k8s.api.networking.v1',
  rbac: 'io.k8s.api.rbac.v1',
  extensions: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1',
}

export function builtinDefinitions(): Definitions {
  return new Map([
    ...readTypes('io.k8s.apimachinery.pkg.apis.meta.v1', metaTypes),
    ...readTypes(packages.core, coreTypes),
    ...readTypes(packages.core, podTypes),
    ...readTypes(packages.apps, workloadTypes),
    ...readTypes(packages.rbac, rbacTypes),
    ...readTypes(packages.networking, networkTypes),
    ...readTypes(packages.coordination, coordinationTypes),
    ...readTypes(packages.events, eventTypes),
    ...readTypes(packages.extensions, extensionTypes),
  ])
}

type Described = Pick<Resource, 'plural' | 'kind'> &
  Partial<Omit<Resource, 'schema' | 'definition'>> & { readonly packageName?: string }

function describe(definitions: Definitions, { packageName = packages.core, ...given }: Described): Resource {
  const { kind, plural, group = '' } = given
  return {
    group,
    version: 'v1',
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    bucket: group === '' ? plural : `${plural}.${group}`,
    definition: definitionName(packageName, kind),
    schema: new SchemaNode({ $ref: `#/definitions/${definitionName(packageName, kind)}` }, definitions),
    subresources: [],
    countsGenerations: false,
    separatesStatus: false,
    isCustom: false,
    createsOnUpdate: false,
    returnsDeleted: false,
    columns: [nameColumn, ageColumn],
    selectableFields: {},
    indexes: {},
    strategy: {},
    ...given,
  }
}

const nodeName: Resource['indexes'][string] = (pod) => text(dig(pod, 'spec', 'nodeName'))
const phase: Resource['indexes'][string] = (object) => text(dig(object, 'status', 'phase'))
const fieldAt =
  (path: string): Resource['indexes'][string] =>
  (object) =>
    text(dig(object, ...path.split('.')))

export function builtinResources(definitions: Definitions): readonly Resource[] {
  const described: readonly Described[] = [
    {
      plural: 'configmaps',
      kind: 'ConfigMap',
      shortNames: ['cm'],
      columns: simple.configMapColumns,
      strategy: simple.configMapStrategy,
    },
    {
      plural: 'events',
      kind: 'Event',
      shortNames: ['ev'],
      createsOnUpdate: true,
      columns: eventColumns,
      selectableFields: eventFields,
      strategy: eventStrategy,
      indexes: { 'involvedObject.uid': fieldAt('involvedObject.uid') },
    },
    {
      plural: 'namespaces',
      kind: 'Namespace',
      shortNames: ['ns'],
      namespaced: false,
      subresources: ['status', 'finalize'],
      separatesStatus: true,
      columns: simple.namespaceColumns,
      strategy: simple.namespaceStrategy,
      selectableFields: { 'status.phase': phase },
    },
    {
      plural: 'nodes',
      kind: 'Node',
      shortNames: ['no'],
      namespaced: false,
      subresources: ['status'],
      separatesStatus: true,
      columns: nodeColumns,
      strategy: nodeStrategy,
      selectableFields: { 'spec.unschedulable': (node) => String(dig(node, 'spec', 'unschedulable') === true) },
    },
    {
      plural: 'pods',
      kind: 'Pod',
      shortNames: ['po'],
      categories: ['all'],
      subresources: ['status', 'binding'],
      separatesStatus: true,
      countsGenerations: true,
      returnsDeleted: true,
      columns: podColumns,
      strategy: podStrategy,
      indexes: { 'spec.nodeName': nodeName },
      selectableFields: {
        'spec.nodeName': nodeName,
        'status.phase': phase,
        ...Object.fromEntries(
          [
            'spec.restartPolicy',
            'spec.schedulerName',
            'spec.serviceAccountName',
            'status.podIP',
            'status.podIPs',
            'status.nominatedNodeName',
          ].map((path) => [path, fieldAt(path)]),
        ),
        'spec.hostNetwork': (pod) => String(dig(pod, 'spec', 'hostNetwork') === true),
      },
    },
    {
      plural: 'secrets',
      kind: 'Secret',
      columns: simple.secretColumns,
      strategy: simple.secretStrategy,
      selectableFields: { type: (secret) => text(secret['type']) },
    },
    {
      plural: 'serviceaccounts',
      kind: 'ServiceAccount',
      shortNames: ['sa'],
      returnsDeleted: true,
      columns: simple.serviceAccountColumns,
    },
    {
      plural: 'services',
      kind: 'Service',
      shortNames: ['svc'],
      categories: ['all'],
      subresources: ['status'],
      separatesStatus: true,
      returnsDeleted: true,
      columns: simple.serviceColumns,
      strategy: simple.serviceStrategy,
      selectableFields: { 'spec.clusterIP': fieldAt('spec.clusterIP'), 'spec.type': fieldAt('spec.type') },
    },
    {
      plural: 'leases',
      kind: 'Lease',
      group: 'coordination.k8s.io',
      packageName: packages.coordination,
      createsOnUpdate: true,
      columns: simple.leaseColumns,
    },
    {
      plural: 'networkpolicies',
      kind: 'NetworkPolicy',
      group: 'networking.k8s.io',
      packageName: packages.networking,
      shortNames: ['netpol'],
      countsGenerations: true,
      columns: networkPolicyColumns,
      strategy: networkPolicyStrategy,
    },
    {
      plural: 'events',
      kind: 'Event',
      group: 'events.k8s.io',
      packageName: packages.events,
      bucket: 'events',
      shortNames: ['ev'],
      createsOnUpdate: true,
      columns: eventColumns,
      selectableFields: newEventFields,
      strategy: eventStrategy,
      view: eventsView,
    },
    ...[
      { plural: 'daemonsets', kind: 'DaemonSet', shortNames: ['ds'] },
      { plural: 'deployments', kind: 'Deployment', shortNames: ['deploy'] },
    ].map((workload) => ({
      ...workload,
      group: 'apps',
      packageName: packages.apps,
      categories: ['all'],
      subresources: ['status'] as const,
      separatesStatus: true,
      countsGenerations: true,
    })),
    ...[
      { plural: 'clusterroles', kind: 'ClusterRole', namespaced: false },
      { plural: 'clusterrolebindings', kind: 'ClusterRoleBinding', namespaced: false },
      { plural: 'roles', kind: 'Role' },
      { plural: 'rolebindings', kind: 'RoleBinding' },
    ].map((role) => ({ ...role, group: 'rbac.authorization.k8s.io', packageName: packages.rbac })),
    {
      plural: 'customresourcedefinitions',
      kind: 'CustomResourceDefinition',
      group: 'apiextensions.k8s.io',
      packageName: packages.extensions,
      shortNames: ['crd', 'crds'],
      categories: ['api-extensions'],
      namespaced: false,
      subresources: ['status'],
      separatesStatus: true,
      countsGenerations: true,
      columns: definitionColumns,
      strategy: definitionStrategy,
    },
  ]
  return described.map((one) => describe(definitions, one))
}
