// List: the matching objects as of one revision, in pages on request (KEP-365, API concepts "Retrieving large results").
import { ApiError, badRequest, expired } from '../api-error.ts'
import { field, parseJson } from '../json.ts'
import { apiVersionOf } from '../kinds/resource.ts'
import { keyOf } from '../objects.ts'
import type { Bucket } from '../storage/bucket.ts'
import type { Entry } from '../storage/store.ts'
import type { Context, Target } from './context.ts'
import { matcher, readRevision, type Selection } from './query.ts'

export type Listing = {
  readonly revision: number
  readonly entries: readonly Entry[]
  readonly continue: string | undefined
  /** How many objects follow this page; undefined when a selector makes that unknown, as in kube-apiserver. */
  readonly remaining: number | undefined
}

type Page = { readonly revision: number; readonly after: string }

/** Lists objects. Throws 400 for wrong options, 410 for a page or revision that is no longer kept, 504 for a future revision. */
export function listObjects(context: Context, target: Target, selection: Selection, query: URLSearchParams): Listing {
  const limit = readLimit(query)
  const page = readContinue(query)
  const revision = page?.revision ?? exactRevision(context, query) ?? context.store.revision
  const bucket = context.store.bucket(target.resource.bucket)
  const candidates = revision === context.store.revision ? hot(bucket, target, selection) : past(bucket, revision, page)
  const isMeant = matcher(target, selection)
  const matching = candidates.filter(({ key, object }) => (page === undefined || key > page.after) && isMeant(object))
  if (limit === 0 || matching.length <= limit)
    return { revision, entries: matching, continue: undefined, remaining: undefined }
  const entries = matching.slice(0, limit)
  const isSelective = selection.labels.length > 0 || selection.fields.length > 0
  return {
    revision,
    entries,
    continue: encodeContinue({ revision, after: entries.at(-1)!.key }),
    remaining: isSelective ? undefined : matching.length - limit,
  }
}

/** Few entries that contain all matches: found by name or by an index where possible. */
function hot(bucket: Bucket, { resource, namespace, name }: Target, { fields }: Selection): readonly Entry[] {
  const wantedName = name || fields.find(({ path, isEqual }) => path === 'metadata.name' && isEqual)?.value
  if (wantedName !== undefined && (namespace !== undefined || !resource.namespaced)) {
    const entry = bucket.get(keyOf(resource.namespaced ? namespace : undefined, wantedName))
    return entry === undefined ? [] : [entry]
  }
  for (const { path, isEqual, value } of fields) {
    const found = isEqual ? bucket.indexed(path, value) : undefined
    if (found !== undefined) return found
  }
  if (namespace !== undefined && resource.namespaced) return bucket.indexed('namespace', namespace)!
  return bucket.all()
}

function past(bucket: Bucket, revision: number, page: Page | undefined): readonly Entry[] {
  const entries = bucket.at(revision)
  if (entries !== undefined) return entries
  if (page === undefined) throw expired(`The resourceVersion for the provided list is too old.`)
  throw expired(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
  )
}

/** The revision to serve exactly; undefined when the present one will do. */
function exactRevision({ store }: Context, query: URLSearchParams): number | undefined {
  const match = query.get('resourceVersionMatch') ?? ''
  const revision = readRevision(query)
  if (match !== '' && match !== 'Exact' && match !== 'NotOlderThan')
    throw badRequest(
      `resourceVersionMatch: Unsupported value: "${match}": supported values: "Exact", "NotOlderThan", ""`,
    )
  if (match !== '' && (query.get('resourceVersion') ?? '') === '')
    throw badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    )
  if (match === 'Exact' && revision === 0)
    throw badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    )
  if (revision > store.revision) {
    throw new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${revision}, current: ${store.revision}`, {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    })
  }
  return match === 'Exact' ? revision : undefined
}

function readLimit(query: URLSearchParams): number {
  const value = query.get('limit') ?? ''
  if (value === '') return 0
  if (!/^\d{1,9}$/.test(value))
    throw badRequest(`limit: Invalid value: "${value}": must be a number that is not negative`)
  return Number(value)
}

function encodeContinue({ revision, after }: Page): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: after })).toString('base64url')
}

function readContinue(query: URLSearchParams): Page | undefined {
  const token = query.get('continue') ?? ''
  if (token === '') return undefined
  try {
    const page = parseJson(Buffer.from(token, 'base64url').toString())
    const [rv, start] = [field(page, 'rv'), field(page, 'start')]
    if (typeof rv === 'number' && typeof start === 'string') return { revision: rv, after: start }
  } catch {
    // malformed JSON is treated like JSON with wrong contents, below
  }
  throw badRequest('continue key is not valid')
}

/** The start of a list as JSON text, up to its items. */
export function listHead({ resource }: Target, listing: Listing): string {
  const metadata = {
    resourceVersion: String(listing.revision),
    ...(listing.continue !== undefined && { continue: listing.continue }),
    ...(listing.remaining !== undefined && { remainingItemCount: listing.remaining }),
  }
  return `{"kind":"${resource.kind}List","apiVersion":"${apiVersionOf(resource)}","metadata":${JSON.stringify(metadata)},"items":[`
}
