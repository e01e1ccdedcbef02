// One watch: from the request to the end of its stream, decoded into events.
// "Efficient detection of changes" in https://kubernetes.io/docs/reference/using-api/api-concepts/
import { fieldsOf, isKubeObject, type KubeObject } from '#/model/kubernetes.ts'
import type { ApiClient } from './client.ts'
import { type Clock, Deadline } from './clock.ts'
import { ApiError, ApiUnreachable, oneLine } from './errors.ts'
import { JsonLineDecoder, JsonLineError } from './json-lines.ts'

export type WatchEvent =
  | { readonly kind: 'added' | 'modified' | 'deleted'; readonly object: KubeObject; readonly resourceVersion: string }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }

/** The longest line of a watch: etcd takes no object above 1.5 MiB, and its JSON can be a few times as long. */
const maxLineBytes = 16 << 20
/** How long past the requested end a server may keep a watch open before the watch counts as dead. */
const graceMs = 30_000

type WatchRequest = {
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** The server is asked to end the watch after this time, so that no connection outlives changes of routes and servers. */
  readonly lifeSeconds: number
}

/** Gives events until the server ends the watch. Throws ApiError for an ERROR event, ApiUnreachable for a broken stream. */
export async function* watchEvents(
  request: WatchRequest,
  deps: {
    readonly client: ApiClient
    readonly clock: Clock
    readonly signal: AbortSignal
    readonly onOpen: () => void
  },
): AsyncGenerator<WatchEvent> {
  const { path, query, lifeSeconds } = request
  const what = `watch of ${path}`
  using deadline = new Deadline(deps.clock, lifeSeconds * 1000 + graceMs, deps.signal)
  const decoder = new JsonLineDecoder({ maxLineBytes })
  const body = await deps.client.watch(path, {
    query: { ...query, allowWatchBookmarks: 'true', timeoutSeconds: String(lifeSeconds) },
    signal: deadline.signal,
  })
  deps.onOpen()
  try {
    for await (const chunk of body) for (const line of decoder.push(chunk)) yield readEvent(line, what)
  } catch (error) {
    if (error instanceof ApiError) throw error
    if (error instanceof JsonLineError) throw garbage(what, error.message)
    throw new ApiUnreachable(what, deadline.expired ? new Error(`not ended within ${lifeSeconds} s as asked`) : error)
  }
  if (decoder.pendingBytes > 0) throw new ApiUnreachable(what, new Error('cut in the middle of an event'))
}

const eventKinds = { ADDED: 'added', MODIFIED: 'modified', DELETED: 'deleted' } as const

function isEventKind(type: unknown): type is keyof typeof eventKinds {
  return typeof type === 'string' && Object.hasOwn(eventKinds, type)
}

/** Reads one line of a watch; throws ApiError for an ERROR event and for an invalid line. Exported for its fuzz test. */
export function readEvent(line: unknown, what: string): WatchEvent {
  const { type, object } = fieldsOf(line)
  if (type === 'ERROR') throw errorOf(object, what)
  const resourceVersion = fieldsOf(fieldsOf(object)['metadata'])['resourceVersion']
  if (typeof resourceVersion !== 'string' || resourceVersion === '')
    throw garbage(what, 'an event without resourceVersion')
  // a bookmark is an object with nothing but its resourceVersion (KEP-956)
  if (type === 'BOOKMARK') return { kind: 'bookmark', resourceVersion }
  if (!isEventKind(type)) throw garbage(what, `an event of type ${JSON.stringify(type)}`)
  if (!isKubeObject(object)) throw garbage(what, 'an event without metadata.name')
  return { kind: eventKinds[type], object, resourceVersion }
}

function errorOf(status: unknown, what: string): ApiError {
  const { code, reason, message } = fieldsOf(status)
  return new ApiError(what, {
    code: typeof code === 'number' ? code : 500,
    reason: typeof reason === 'string' && reason !== '' ? oneLine(reason) : 'Unknown',
    detail: typeof message === 'string' ? oneLine(message) : '',
  })
}

function garbage(what: string, detail: string): ApiError {
  return new ApiError(what, { code: 200, reason: 'InvalidResponse', detail: oneLine(`the server sent ${detail}`) })
}
