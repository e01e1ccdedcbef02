// Reads the subject of a request from its path: /api/v1/namespaces/x/pods/y/status and the like (apiserver
// pkg/endpoints/request/requestinfo.go).
import { noSuchPath } from '../api-error.ts'
import type { Registry } from '../kinds/registry.ts'
import type { Resource } from '../kinds/resource.ts'
import type { Target } from '../verbs/context.ts'

export type ResourceRequest = {
  readonly target: Target
  readonly subresource: Resource['subresources'][number] | undefined
  /** The path has the old form /api/v1/watch/... */
  readonly isWatchPath: boolean
}

/** Reads a path. Undefined outside of /api/<version>/ and /apis/<group>/<version>/; throws 404 for a resource that is not served. */
export function resourceRequest(path: string, registry: Registry): ResourceRequest | undefined {
  const parts = path.split('/').slice(1).map(decode)
  const isCore = parts[0] === 'api'
  if (!isCore && parts[0] !== 'apis') return undefined
  const rest = parts.slice(isCore ? 2 : 3)
  if (rest.length === 0 || rest[0] === '') return undefined
  const [group, version] = isCore ? ['', parts[1]!] : [parts[1]!, parts[2]!]
  const isWatchPath = rest[0] === 'watch'
  const [first = '', second = '', third, ...more] = isWatchPath ? rest.slice(1) : rest
  // /namespaces/x/pods is about pods; /namespaces/x and /namespaces/x/status are about the namespace
  const isInside =
    first === 'namespaces' && third !== undefined && !(group === '' && (third === 'status' || third === 'finalize'))
  const [plural, namespace, name, subresource, ...extra] = isInside
    ? [third, second, more[0] ?? '', more[1], ...more.slice(2)]
    : [first, undefined, second, third, ...more]
  const resource = registry.find(group, version, plural)
  if (resource === undefined || extra.length > 0 || isInside !== (resource.namespaced && namespace !== undefined))
    throw noSuchPath()
  // a namespaced object exists only under its namespace's path
  if (resource.namespaced && namespace === undefined && name !== '') throw noSuchPath()
  return { target: { resource, namespace, name }, subresource: knownSubresource(resource, subresource), isWatchPath }
}

function knownSubresource(resource: Resource, name: string | undefined): ResourceRequest['subresource'] {
  if (name === undefined) return undefined
  const known = resource.subresources.find((subresource) => subresource === name)
  if (known === undefined) throw noSuchPath()
  return known
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw noSuchPath()
  }
}
