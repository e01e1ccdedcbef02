// The speaker's thread (speaker-thread.ts is its other side).
import { parentPort } from 'node:worker_threads'
import { type Logger, type Level, messageOf } from '#/lib/log.ts'
import { type SpeakerConfig } from '#/model/bgp.ts'
import { type Pieces } from '#/bgp/rib/listing.ts'
import { bgpFromJson } from '#/model/bgp-json.ts'
import { composeSpeaker, type LiveSpeaker } from './compose.ts'
import { takeSlice } from './slices.ts'
import {
  type FromSpeaker,
  type Question,
  type Questions,
  type Slice,
  type StopKind,
  type ToSpeaker,
} from './thread-messages.ts'

const port = parentPort
if (port === null) throw new Error('this file runs in a thread of the agent')

const tell = (message: FromSpeaker): void => port.postMessage(message)

function logger(fields: Record<string, unknown>): Logger {
  const write =
    (level: Level) =>
    (message: string, extra: Readonly<Record<string, unknown>> = {}): void =>
      tell({ kind: 'log', level, message, fields: plain({ ...fields, ...extra }) })
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    with: (more) => logger({ ...fields, ...more }),
  }
}

/** Addresses and errors as text: a message port takes their class away. */
function plain(fields: Record<string, unknown>): Record<string, unknown> {
  const texts = Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? messageOf(value) : value])
  return JSON.parse(JSON.stringify(Object.fromEntries(texts))) as Record<string, unknown>
}

let live: LiveSpeaker | undefined

function configure(text: string): void {
  // what the other side wrote with JSON.stringify of just this type
  const config = bgpFromJson(text) as SpeakerConfig
  if (live !== undefined) {
    live.speaker.configure(config)
    return
  }
  live = composeSpeaker(config, {
    onRoutes: (changes) => tell({ kind: 'routes', changes: JSON.stringify(changes) }),
    onReady: () => tell({ kind: 'ready' }),
    onSessions: (hasAny) => tell({ kind: 'sessions', hasAny }),
    onPortTrouble: (service, trouble) => tell({ kind: 'port', service, ...(trouble !== undefined && { trouble }) }),
    log: logger({ part: 'bgp' }),
  })
  live.speaker.start()
}

const answers: {
  readonly [Q in Question]: (live: LiveSpeaker, argument: Questions[Q]['argument']) => Questions[Q]['answer']
} = {
  peers: ({ speaker }) => speaker.peers(),
  reset: ({ speaker }, { peer, how }) => speaker.reset(peer, how),
}

/** Lists that are being told, by the number of their question. */
const lists = new Map<number, Pieces<unknown>>()

function begun(): LiveSpeaker {
  if (live === undefined) throw new Error('it has not begun')
  return live
}

function sliceOf(id: number): Slice<unknown> {
  const pieces = lists.get(id)
  if (pieces === undefined) throw new Error('there is no such list')
  const slice = takeSlice(pieces)
  if (slice.isLast) lists.delete(id)
  return slice
}

function answer(id: number, reply: () => unknown): void {
  try {
    tell({ kind: 'answer', id, value: JSON.parse(JSON.stringify(reply())) as unknown })
  } catch (error) {
    tell({ kind: 'answer', id, error: messageOf(error) })
  }
}

/** Closes everything: what C functions opened would outlive the thread. */
async function end(how: StopKind, text: string): Promise<void> {
  await live?.speaker.stop(how, text)
  await live?.[Symbol.asyncDispose]()
}

function take(message: ToSpeaker): void {
  switch (message.kind) {
    case 'configure':
      configure(message.config)
      return
    case 'ask':
      // each question comes with its own argument (Questions)
      answer(message.id, () =>
        (answers[message.question] as (live: LiveSpeaker, argument: unknown) => unknown)(begun(), message.argument),
      )
      return
    case 'list':
      if (live !== undefined) lists.set(message.id, live.rib.listing[message.list](message.filter))
      return
    case 'more':
      // several lists at once: the sockets have their turn after a slice of each
      setImmediate(() => answer(message.id, () => sliceOf(message.id)))
      return
    case 'enough':
      lists.delete(message.id)
      return
    case 'stop':
      void end(message.how, message.text).finally(() => tell({ kind: 'stopped' }))
      return
    default:
      message satisfies never
  }
}

port.on('message', (message: ToSpeaker) => {
  try {
    take(message)
  } catch (error) {
    // neighbours are to wait for the next thread
    const because = messageOf(error)
    void end('restart', because).finally(() => tell({ kind: 'failed', error: because }))
  }
})
