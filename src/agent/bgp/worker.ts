// The speaker's thread (speaker-thread.ts is its other side).
import { parentPort } from 'node:worker_threads'
import { type Logger, type Level, messageOf } from '#/lib/log.ts'
import { type SpeakerConfig } from '#/model/bgp.ts'
import { bgpFromJson } from '#/model/bgp-json.ts'
import { composeSpeaker, type LiveSpeaker } from './compose.ts'
import { type FromSpeaker, type Question, type Questions, type StopKind, type ToSpeaker } from './thread-messages.ts'

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
    log: logger({ part: 'bgp' }),
  })
  live.speaker.start()
}

const answers: {
  readonly [Q in Question]: (live: LiveSpeaker, argument: Questions[Q]['argument']) => Questions[Q]['answer']
} = {
  peers: ({ speaker }) => speaker.peers(),
  paths: ({ rib }) => rib.paths(),
  advertised: ({ speaker, rib }, { peer }) =>
    (peer === undefined ? speaker.peers().map(({ name }) => name) : [peer]).flatMap((name) => rib.advertised(name)),
  reset: ({ speaker }, { peer, how }) => speaker.reset(peer, how),
}

function answer(id: number, question: Question, argument: unknown): void {
  try {
    if (live === undefined) throw new Error('it has not begun')
    // each question comes with its own argument (Questions)
    const reply = answers[question] as (live: LiveSpeaker, argument: unknown) => unknown
    tell({ kind: 'answer', id, value: JSON.parse(JSON.stringify(reply(live, argument))) as unknown })
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
      answer(message.id, message.question, message.argument)
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
