// Discovery: the list of groups, versions and resources served (apiserver pkg/endpoints/discovery).
import type { JsonObject } from './json.ts'
import type { Registry } from './kinds/registry.ts'
import { apiVersionOf, type Resource } from './kinds/resource.ts'

/** The Kubernetes version whose behaviour this server follows. */
export const serverVersion: JsonObject = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+causeway',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

/** The answer to a discovery path; undefined for any other path. */
export function discovery(path: string, registry: Registry): JsonObject | undefined {
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  if (path === '/apis')
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groupNames(registry).map((group) => apiGroup(group, registry)),
    }
  const [, root, group = '', version = '', ...rest] = path.split('/')
  if (root === 'api' && version === '') return resourceList('', group, registry)
  if (root !== 'apis' || rest.length > 0) return undefined
  if (version !== '') return resourceList(group, version, registry)
  return groupNames(registry).includes(group)
    ? { apiVersion: 'v1', ...apiGroup(group, registry), kind: 'APIGroup' }
    : undefined
}

function groupNames(registry: Registry): string[] {
  return [...new Set(registry.groupVersions().map(({ group }) => group))].filter((group) => group !== '')
}

function apiGroup(name: string, registry: Registry): JsonObject {
  const versions = registry
    .groupVersions()
    .filter(({ group }) => group === name)
    .map((groupVersion) => ({ groupVersion: apiVersionOf(groupVersion), version: groupVersion.version }))
  return { name, versions, preferredVersion: versions[0]! }
}

function resourceList(group: string, version: string, registry: Registry): JsonObject | undefined {
  const resources = registry.in(group, version)
  if (resources.length === 0) return undefined
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources: resources.flatMap((resource) => [
      describe(resource),
      ...resource.subresources.map((name) => describeSubresource(resource, name)),
    ]),
  }
}

function describe(resource: Resource): JsonObject {
  const { plural, singular, namespaced, kind, shortNames, categories } = resource
  return {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
  }
}

function describeSubresource({ plural, namespaced, kind }: Resource, name: string): JsonObject {
  const isBinding = name === 'binding'
  return {
    name: `${plural}/${name}`,
    singularName: '',
    namespaced,
    kind: isBinding ? 'Binding' : kind,
    verbs: isBinding ? ['create'] : name === 'finalize' ? ['update'] : ['get', 'patch', 'update'],
  }
}
