// CustomResourceDefinitions, and the resources they make the server serve (apiextensions-apiserver).
import { forbiddenField, invalidValue, required, type Cause } from '../api-error.ts'
import { dig, isObject, list, objects, text, type Json, type JsonObject } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { expressionFault } from '../schema/cel.ts'
import { isSchemaValue } from '../schema/read.ts'
import { isTransition } from '../schema/rules.ts'
import { isSchema, refPrefix, SchemaNode, type Definitions, type Schema } from '../schema/schema.ts'
import { age, ageColumn, column, nameColumn } from './cells.ts'
import { evaluate, parsePath } from './json-path.ts'
import { labelFault, subdomainFault } from './names.ts'
import type { Column, Resource, Strategy } from './resource.ts'

export const definitionColumns: readonly Column[] = [
  nameColumn,
  column('Created At', (definition) => definition.metadata.creationTimestamp ?? '', { type: 'date' }),
]

function complete(definition: KubeObject): KubeObject {
  const spec = isObject(definition['spec']) ? definition['spec'] : {}
  const names = isObject(spec['names']) ? spec['names'] : {}
  const kind = text(names['kind'])
  const filled = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names }
  return { ...definition, spec: { conversion: { strategy: 'None' }, ...spec, names: filled } }
}

function validate(definition: KubeObject): Cause[] {
  const causes: Cause[] = []
  const group = text(dig(definition, 'spec', 'group'))
  const plural = text(dig(definition, 'spec', 'names', 'plural'))
  const name = definition.metadata.name ?? ''
  if (group === '') causes.push(required('spec.group'))
  else if (!group.includes('.') || subdomainFault(group) !== undefined)
    causes.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'))
  const fault = labelFault(plural)
  if (fault !== undefined) causes.push(invalidValue('spec.names.plural', plural, fault))
  if (name !== `${plural}.${group}`)
    causes.push(invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group'))
  const versions = objects(dig(definition, 'spec', 'versions'))
  if (versions.length === 0) causes.push(required('spec.versions'))
  if (versions.length > 0 && versions.filter((version) => version['storage'] === true).length !== 1) {
    causes.push(
      invalidValue(
        'spec.versions',
        versions.map((version) => version['name'] ?? ''),
        'must have exactly one version marked as storage version',
      ),
    )
  }
  return [...causes, ...versions.flatMap(checkVersion)]
}

function checkVersion(version: JsonObject, index: number): Cause[] {
  const at = `spec.versions[${index}]`
  const schema = dig(version, 'schema', 'openAPIV3Schema')
  if (!isObject(schema)) return [required(`${at}.schema.openAPIV3Schema`, 'schemas are required')]
  if (!isSchemaValue(schema))
    return [invalidValue(`${at}.schema.openAPIV3Schema`, 'object', 'a keyword has a value of a wrong type')]
  const causes = checkSchema(schema, `${at}.schema.openAPIV3Schema`)
  if (schema['type'] !== 'object')
    causes.push(invalidValue(`${at}.schema.openAPIV3Schema.type`, schema['type'] ?? '', 'must be object at the root'))
  for (const [place, printed] of objects(version['additionalPrinterColumns']).entries()) {
    const path = text(printed['jsonPath'])
    if (parsePath(path) === undefined)
      causes.push(
        invalidValue(
          `${at}.additionalPrinterColumns[${place}].jsonPath`,
          path,
          'must be a simple json path with leading .',
        ),
      )
  }
  return causes
}

const types = ['string', 'integer', 'number', 'boolean', 'object', 'array']

/** The rules of structural schemas: types everywhere, patterns and expressions that compile, no references. */
function checkSchema(schema: Schema, at: string): Cause[] {
  const causes: Cause[] = []
  const isOpen =
    schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true
  if (schema.$ref !== undefined) causes.push(forbiddenField(`${at}.$ref`, '$ref is not supported'))
  if (schema.type === undefined ? !isOpen : !types.includes(schema.type))
    causes.push(required(`${at}.type`, 'must not be empty for specified object fields'))
  if (schema.pattern !== undefined && !compiles(schema.pattern))
    causes.push(invalidValue(`${at}.pattern`, schema.pattern, 'must be a valid regular expression'))
  for (const [place, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const fault = isTransition(rule) ? undefined : expressionFault(rule.rule)
    if (fault !== undefined)
      causes.push(
        invalidValue(`${at}.x-kubernetes-validations[${place}].rule`, rule.rule, `compilation failed: ${fault}`),
      )
  }
  if (schema.type === 'array' && schema.items === undefined) causes.push(required(`${at}.items`, 'must be specified'))
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    // metadata is checked as ObjectMeta, whatever the schema says
    if (key !== 'metadata') causes.push(...checkSchema(property, `${at}.properties[${key}]`))
  }
  if (schema.items !== undefined) causes.push(...checkSchema(schema.items, `${at}.items`))
  if (isSchema(schema.additionalProperties))
    causes.push(...checkSchema(schema.additionalProperties, `${at}.additionalProperties`))
  return causes
}

function compiles(pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u') instanceof RegExp
  } catch {
    return false
  }
}

function validateUpdate(next: KubeObject, live: KubeObject): Cause[] {
  return [['group'], ['scope'], ['names', 'kind'], ['names', 'plural']].flatMap((path): Cause[] => {
    const after = dig(next, 'spec', ...path)
    return after === dig(live, 'spec', ...path)
      ? []
      : [invalidValue(`spec.${path.join('.')}`, after ?? '', 'field is immutable')]
  })
}

/** A new definition starts with an empty status: the server itself decides it. */
function prepareCreate(definition: KubeObject): KubeObject {
  return { ...definition, status: { conditions: [], storedVersions: [] } }
}

export const definitionStrategy: Strategy = {
  complete,
  prepareCreate,
  validate,
  validateUpdate,
}

/** The status of a definition whose resources are served. */
export function establishedStatus(definition: KubeObject, now: string): JsonObject {
  const versions = objects(dig(definition, 'spec', 'versions'))
  const condition = (type: string, reason: string, message: string): Json => ({
    type,
    status: 'True',
    lastTransitionTime: now,
    reason,
    message,
  })
  return {
    acceptedNames: dig(definition, 'spec', 'names') ?? {},
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    storedVersions: versions.filter((version) => version['storage'] === true).map((version) => text(version['name'])),
  }
}

/** The resources of a definition: one for each version served. */
export function resourcesOf(definition: KubeObject, definitions: Definitions): Resource[] {
  const versions = objects(dig(definition, 'spec', 'versions'))
  return versions
    .filter((version) => version['served'] === true)
    .map((version) => customResource(definition, version, definitions))
}

function customResource(definition: KubeObject, version: JsonObject, definitions: Definitions): Resource {
  const names = dig(definition, 'spec', 'names')
  const group = text(dig(definition, 'spec', 'group'))
  const plural = text(dig(names, 'plural'))
  const kind = text(dig(names, 'kind'))
  const name = text(version['name'])
  const hasStatus = dig(version, 'subresources', 'status') !== undefined
  const printed = objects(version['additionalPrinterColumns']).map(printedColumn)
  const words = (key: string): string[] => list(dig(names, key)).map(text)
  const storage = text(objects(dig(definition, 'spec', 'versions')).find((one) => one['storage'] === true)?.['name'])
  return {
    group,
    version: name,
    plural,
    singular: text(dig(names, 'singular')),
    kind,
    shortNames: words('shortNames'),
    categories: words('categories'),
    namespaced: dig(definition, 'spec', 'scope') === 'Namespaced',
    bucket: `${plural}.${group}`,
    // named as by apiextensions-apiserver: the group reversed, as in com.example.v1.Widget
    definition: `${group.split('.').toReversed().join('.')}.${name}.${kind}`,
    schema: new SchemaNode(publishedSchema(version, { group, version: name, kind }), definitions),
    subresources: hasStatus ? ['status'] : [],
    countsGenerations: true,
    separatesStatus: hasStatus,
    isCustom: true,
    createsOnUpdate: false,
    returnsDeleted: false,
    columns: [nameColumn, ...(printed.length > 0 ? printed : [ageColumn])],
    selectableFields: {},
    indexes: {},
    strategy: {},
    view: {
      fromStored: (object) => ({ ...object, apiVersion: `${group}/${name}` }),
      toStored: (object) => ({ ...object, apiVersion: `${group}/${storage}` }),
    },
  }
}

/** The schema of a version with the identity of the kind and the metadata that every object has. */
function publishedSchema(version: JsonObject, gvk: { group: string; version: string; kind: string }): Schema {
  const declared = dig(version, 'schema', 'openAPIV3Schema')
  const given: Schema = isSchemaValue(declared) ? declared : { type: 'object' }
  return {
    ...given,
    'x-kubernetes-group-version-kind': [gvk],
    properties: {
      ...given.properties,
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { $ref: `${refPrefix}io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta` },
    },
  }
}

function columnType(name: string): Column['type'] {
  return name === 'integer' || name === 'number' || name === 'boolean' || name === 'date' ? name : 'string'
}

function printedColumn(printed: JsonObject): Column {
  const path = parsePath(text(printed['jsonPath'])) ?? []
  const type = columnType(text(printed['type']))
  const cell: Column['cell'] = (object, now) => {
    const value = evaluate(object, path)
    if (value === undefined) return type === 'date' ? '<unknown>' : null
    if (type === 'date') return age(value, now)
    return typeof value === 'object' ? JSON.stringify(value) : value
  }
  return column(text(printed['name']), cell, {
    type,
    wide: Number(printed['priority'] ?? 0) > 0,
    description: text(printed['description']),
  })
}
