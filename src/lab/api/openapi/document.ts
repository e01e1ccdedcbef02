// The published OpenAPI documents, v2 and v3, which kubectl uses to validate, merge and explain. They list only the paths that clients look
// at: a patch operation with its options announces dry run and field validation.
import type { Json, JsonObject } from '../json.ts'
import type { GroupVersion, Registry } from '../kinds/registry.ts'
import type { Resource } from '../kinds/resource.ts'
import { refPrefix, type Schema } from '../schema/schema.ts'

const info = { title: 'Kubernetes', version: 'v1.33.0' }

const patchParameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force']

/** The Swagger 2.0 document of everything served. */
export function openApiV2(registry: Registry): JsonObject {
  const paths = registry.all().map((resource): [string, Json] => [
    pathOf(resource),
    {
      patch: {
        ...operation(resource),
        parameters: patchParameters.map((name) => ({
          in: 'query',
          name,
          type: name === 'force' ? 'boolean' : 'string',
          uniqueItems: true,
        })),
      },
    },
  ])
  const definitions = allDefinitions(registry).map(([name, schema]): [string, Json] => [
    name,
    published(schema, refPrefix, false),
  ])
  return { swagger: '2.0', info, paths: Object.fromEntries(paths), definitions: Object.fromEntries(definitions) }
}

/** The index of OpenAPI v3 documents: one for each group and version. */
export function openApiV3Index(registry: Registry): JsonObject {
  const entries = registry.groupVersions().map((groupVersion): [string, Json] => {
    const path = rootOf(groupVersion)
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${registry.edition}` }]
  })
  return { paths: Object.fromEntries(entries) }
}

/** The OpenAPI 3 document at /openapi/v3/<path>; undefined when nothing is served there. */
export function openApiV3(registry: Registry, path: string): JsonObject | undefined {
  const groupVersion = registry.groupVersions().find((one) => rootOf(one) === path)
  if (groupVersion === undefined) return undefined
  const { group, version } = groupVersion
  const resources = registry.in(group, version)
  const parameters = patchParameters.map((name) => ({
    in: 'query',
    name,
    schema: { type: name === 'force' ? 'boolean' : 'string' },
  }))
  const paths = resources.map((resource): [string, Json] => {
    const content = { 'application/json': { schema: { $ref: `#/components/schemas/${resource.definition}` } } }
    const responses = { 200: { description: 'OK', content } }
    return [
      pathOf(resource),
      { get: { ...operation(resource), responses }, patch: { ...operation(resource), parameters, responses } },
    ]
  })
  const schemas = reachable(registry, resources).map(([name, schema]): [string, Json] => [
    name,
    published(schema, '#/components/schemas/', true),
  ])
  return {
    openapi: '3.0.0',
    info,
    paths: Object.fromEntries(paths),
    components: { schemas: Object.fromEntries(schemas) },
  }
}

function rootOf({ group, version }: GroupVersion): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`
}

function pathOf(resource: Resource): string {
  return `/${rootOf(resource)}/${resource.namespaced ? 'namespaces/{namespace}/' : ''}${resource.plural}/{name}`
}

function operation({ group, version, kind, plural }: Resource): JsonObject {
  return {
    operationId: `${group}${version}${plural}`,
    'x-kubernetes-group-version-kind': { group, version, kind },
    responses: { 200: { description: 'OK' } },
  }
}

function allDefinitions(registry: Registry): [string, Schema][] {
  const custom = registry.all().filter(({ isCustom }) => isCustom)
  return [
    ...registry.definitions,
    ...custom.map((resource): [string, Schema] => [resource.definition, resource.schema.schema]),
  ]
}

function reachable(registry: Registry, resources: readonly Resource[]): [string, Schema][] {
  const all = new Map(allDefinitions(registry))
  const found = new Map<string, Schema>()
  const visit = (name: string): void => {
    const schema = all.get(name)
    if (schema === undefined || found.has(name)) return
    found.set(name, schema)
    for (const [, target] of JSON.stringify(schema).matchAll(/"\$ref":"#\/definitions\/([^"]+)"/g)) visit(target!)
  }
  for (const resource of resources) visit(resource.definition)
  return [...found]
}

/** A schema as published: OpenAPI v2 has no int-or-string, and in v3 the siblings of a $ref go into allOf. */
function published(schema: Schema, prefix: string, isV3: boolean): JsonObject {
  const { $ref, properties, items, additionalProperties, allOf, anyOf, oneOf, not, ...rest } = schema
  const next = (inner: Schema): JsonObject => published(inner, prefix, isV3)
  const nested: JsonObject = {
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([key, inner]) => [key, next(inner)])),
    }),
    ...(items !== undefined && { items: next(items) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: next(additionalProperties) }),
    ...(isV3 && allOf !== undefined && { allOf: allOf.map(next) }),
    ...(isV3 && anyOf !== undefined && { anyOf: anyOf.map(next) }),
    ...(isV3 && oneOf !== undefined && { oneOf: oneOf.map(next) }),
    ...(isV3 && not !== undefined && { not: next(not) }),
  }
  const own = rest as JsonObject
  if ($ref !== undefined) {
    const target = prefix + $ref.slice(refPrefix.length)
    return isV3 ? { ...own, allOf: [{ $ref: target }] } : { ...own, $ref: target }
  }
  if (schema['x-kubernetes-int-or-string'] !== true) return { ...own, ...nested }
  // kubectl's own validation accepts any scalar as a string
  return isV3
    ? { ...own, oneOf: [{ type: 'integer' }, { type: 'number' }, { type: 'string' }] }
    : { ...own, type: 'string' }
}
