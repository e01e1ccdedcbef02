// The REST verbs: calls the verb's function for a request and answers in the form that the client wants.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { badRequest, conflict, methodNotAllowed, unsupportedMediaType } from '../api-error.ts'
import { dig, isObject, text, type Json, type JsonObject } from '../json.ts'
import { bindPod } from '../kinds/pod.ts'
import { apiVersionOf } from '../kinds/resource.ts'
import type { KubeObject } from '../objects.ts'
import { load, lookUp, nowStamp, served, servedJson, stored, type Context, type Target } from '../verbs/context.ts'
import { decode, type FieldValidation } from '../verbs/decode.ts'
import { listHead, listObjects, type Listing } from '../verbs/list.ts'
import { patch, patchTypes } from '../verbs/patch.ts'
import { matcher, readRevision, readSelection } from '../verbs/query.ts'
import { readDeleteOptions, remove } from '../verbs/remove.ts'
import { create, update, type WriteOptions } from '../verbs/write.ts'
import { parseObject, parsePatch, readBody } from './body.ts'
import { shape } from './encode.ts'
import { negotiate, type Form } from './negotiate.ts'
import type { ResourceRequest } from './request-info.ts'
import { sendJson, sendText } from './respond.ts'
import { partialMetadata, readInclude, table } from './table.ts'
import { WatchStream } from './watch-stream.ts'

export type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
  readonly info: ResourceRequest
}

/** Answers one request; throws ApiError. */
export async function serveResource(context: Context, exchange: Exchange): Promise<void> {
  const { request, info } = exchange
  const isObjectPath = info.target.name !== ''
  switch (request.method) {
    case 'GET':
      if (isWatch(exchange)) return watch(context, exchange)
      return isObjectPath ? get(context, exchange) : list(context, exchange)
    case 'POST':
      return post(context, exchange)
    case 'PUT':
      if (isObjectPath) return put(context, exchange)
      break
    case 'PATCH':
      if (isObjectPath) return patchOne(context, exchange)
      break
    case 'DELETE':
      if (info.subresource === undefined)
        return isObjectPath ? deleteOne(context, exchange) : deleteMany(context, exchange)
      break
    default:
  }
  throw methodNotAllowed()
}

function isWatch({ query, info }: Exchange): boolean {
  const value = query.get('watch')
  return info.isWatchPath || (info.subresource === undefined && (value === 'true' || value === '1'))
}

function get(context: Context, exchange: Exchange): void {
  const { target } = exchange.info
  const form = negotiate(exchange.request.headers.accept)
  const entry = load(context, target)
  if (form.kind === 'object') sendText(exchange.response, 200, servedJson(target.resource, entry))
  else answer(context, exchange, 200, entry.object, [], form)
}

function list(context: Context, exchange: Exchange): void {
  const {
    response,
    query,
    info: { target },
  } = exchange
  const form = negotiate(exchange.request.headers.accept)
  const listing = listObjects(context, target, readSelection(target.resource, query), query)
  if (form.kind === 'object') {
    const items = listing.entries.map((entry) => servedJson(target.resource, entry))
    return sendText(response, 200, `${listHead(target, listing)}${items.join(',')}]}`)
  }
  sendJson(response, 200, shapeList(context, exchange, listing, form))
}

function shapeList(
  context: Context,
  {
    query,
    info: {
      target: { resource },
    },
  }: Exchange,
  listing: Listing,
  form: Exclude<Form, { kind: 'object' }>,
): JsonObject {
  const metadata: JsonObject = {
    resourceVersion: String(listing.revision),
    ...(listing.continue !== undefined && { continue: listing.continue }),
    ...(listing.remaining !== undefined && { remainingItemCount: listing.remaining }),
  }
  const rows = listing.entries.map(({ object }) => ({ stored: object, served: served(resource, object) }))
  if (form.kind === 'table')
    return table(resource, rows, metadata, {
      version: form.version,
      include: readInclude(query),
      now: context.now(),
      withHeaders: true,
    })
  const items = rows.map((row) => partialMetadata(row.served, form.version))
  return { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${form.version}`, metadata, items }
}

const longestWatchMs = 60 * 60 * 1000

function watch(context: Context, { request, response, query, info: { target } }: Exchange): void {
  const form = negotiate(request.headers.accept)
  const selection = readSelection(target.resource, query)
  const revision = readRevision(query)
  const initial = query.get('sendInitialEvents')
  if (initial !== null && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw badRequest(
      'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    )
  }
  const seconds = Number(query.get('timeoutSeconds') ?? 0)
  // between half an hour and an hour, as in kube-apiserver, so that watchers do not all come back at once
  const defaultMs = longestWatchMs * (0.5 + Math.random() / 2)
  // the response owns the stream and ends it
  void new WatchStream(
    response,
    {
      resource: target.resource,
      isMeant: matcher(target, selection),
      form,
      include: readInclude(query),
      revision: initial === 'false' && revision === 0 ? context.store.revision : revision,
      sendsInitial: initial === null ? revision === 0 : initial === 'true',
      marksInitialEnd: initial === 'true' && query.get('allowWatchBookmarks') === 'true',
      allowsBookmarks: query.get('allowWatchBookmarks') === 'true',
      timeoutMs: seconds > 0 ? Math.min(seconds * 1000, longestWatchMs) : defaultMs,
    },
    context,
  )
}

async function post(context: Context, exchange: Exchange): Promise<void> {
  const {
    request,
    query,
    info: { target, subresource },
  } = exchange
  if (subresource === 'binding') return bind(context, exchange)
  if (subresource !== undefined || target.name !== '') throw methodNotAllowed()
  if (target.resource.namespaced && target.namespace === undefined) throw methodNotAllowed()
  const warnings: string[] = []
  const given = decode(
    target.resource,
    parseObject(await readBody(request), context.registry.definitions),
    readFieldValidation(query),
    warnings,
  )
  const object = create(context, target, given, writeOptions(exchange))
  answer(context, exchange, 201, stored(target.resource, object), warnings)
}

/** Sets a pod's node, which is allowed once; schedulers place pods this way. */
async function bind(context: Context, exchange: Exchange): Promise<void> {
  const {
    request,
    response,
    info: { target },
  } = exchange
  const body = parseObject(await readBody(request), context.registry.definitions)
  const node = text(dig(body, 'target', 'name'))
  if (node === '') throw badRequest('Binding "" is invalid: target.name: Required value')
  const { object: pod } = load(context, target)
  const current = text(dig(pod, 'spec', 'nodeName'))
  if (current !== '') {
    throw conflict(
      { group: '', resource: 'pods/binding', kind: 'Pod' },
      target.name,
      `pod ${target.name} is already assigned to node "${current}"`,
    )
  }
  context.store.put(target.resource.bucket, `${target.namespace}/${target.name}`, bindPod(pod, node, nowStamp(context)))
  sendJson(response, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 })
}

async function put(context: Context, exchange: Exchange): Promise<void> {
  const {
    request,
    query,
    info: { target },
  } = exchange
  const warnings: string[] = []
  const given = decode(
    target.resource,
    parseObject(await readBody(request), context.registry.definitions),
    readFieldValidation(query),
    warnings,
    lookUp(context, target)?.object,
  )
  const object = update(context, target, given, writeOptions(exchange))
  answer(context, exchange, 200, stored(target.resource, object), warnings)
}

async function patchOne(context: Context, exchange: Exchange): Promise<void> {
  const {
    request,
    query,
    info: { target },
  } = exchange
  const body = await readBody(request)
  if (!Object.values<string>(patchTypes).includes(body.mediaType)) throw unsupportedMediaType(Object.values(patchTypes))
  const options = {
    ...writeOptions(exchange),
    type: body.mediaType,
    force: query.get('force') === 'true',
    fieldValidation: readFieldValidation(query),
  }
  // an apply without a manager is refused instead of getting a default manager
  const manager = body.mediaType === patchTypes.apply ? (query.get('fieldManager') ?? '') : options.manager
  const warnings: string[] = []
  const { object, isNew } = patch(context, target, parsePatch(body), { ...options, manager }, warnings)
  answer(context, exchange, isNew ? 201 : 200, stored(target.resource, object), warnings)
}

async function deleteOne(context: Context, exchange: Exchange): Promise<void> {
  const {
    response,
    info: { target },
  } = exchange
  const options = readDeleteOptions(await optionalBody(context, exchange), exchange.query)
  const { object, isGone } = remove(context, target, options)
  if (!isGone || target.resource.returnsDeleted)
    return answer(context, exchange, 200, stored(target.resource, object), [])
  const { group, plural } = target.resource
  const details = { name: target.name, ...(group !== '' && { group }), kind: plural, uid: object.metadata.uid ?? '' }
  sendJson(response, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details })
}

async function deleteMany(context: Context, exchange: Exchange): Promise<void> {
  const {
    response,
    query,
    info: { target },
  } = exchange
  if (target.resource.namespaced && target.namespace === undefined) throw methodNotAllowed()
  const options = readDeleteOptions(await optionalBody(context, exchange), query)
  const listing = listObjects(context, target, readSelection(target.resource, query), query)
  const removed = listing.entries.map(({ object }) => remove(context, targetOf(target, object), options).object)
  sendJson(response, 200, {
    kind: `${target.resource.kind}List`,
    apiVersion: apiVersionOf(target.resource),
    metadata: { resourceVersion: String(context.store.revision) },
    items: removed,
  })
}

function targetOf({ resource, namespace }: Target, { metadata }: KubeObject): Target {
  return { resource, namespace, name: metadata.name ?? '' }
}

async function optionalBody(context: Context, { request }: Exchange): Promise<Json | undefined> {
  const body = await readBody(request)
  if (body.bytes.length === 0) return undefined
  const options = parseObject(body, context.registry.definitions)
  if (!isObject(options)) throw badRequest('DeleteOptions must be an object')
  return options
}

function writeOptions({ request, query, info }: Exchange): WriteOptions {
  const dryRun = query.getAll('dryRun')
  if (dryRun.some((value) => value !== 'All'))
    throw badRequest(`invalid dryRun value "${dryRun.join(',')}": supported values: "All"`)
  // the default manager is the client's program name, as in "kubectl/v1.33 (linux/amd64)"
  const agent = (request.headers['user-agent'] ?? 'unknown').split('/')[0]!
  return {
    isDryRun: dryRun.length > 0,
    manager: query.get('fieldManager') ?? agent.slice(0, 128),
    subresource: info.subresource,
  }
}

function readFieldValidation(query: URLSearchParams): FieldValidation {
  const value = query.get('fieldValidation') ?? 'Warn'
  if (value === '' || value === 'Warn') return 'Warn'
  if (value === 'Strict' || value === 'Ignore') return value
  throw badRequest(`fieldValidation: Unsupported value: "${value}": supported values: "Ignore", "Warn", "Strict"`)
}

function answer(
  context: Context,
  { request, response, query, info }: Exchange,
  code: number,
  object: KubeObject,
  warnings: readonly string[],
  form = negotiate(request.headers.accept),
): void {
  // a warning header (RFC 7234 section 5.5): code 299, no agent, quoted text
  if (warnings.length > 0)
    response.setHeader(
      'warning',
      warnings.map((warning) => `299 - ${JSON.stringify(warning).replaceAll(/[^\x20-\x7e]/g, '?')}`),
    )
  sendJson(
    response,
    code,
    shape(info.target.resource, object, form, { include: readInclude(query), now: context.now(), withHeaders: true }),
  )
}
