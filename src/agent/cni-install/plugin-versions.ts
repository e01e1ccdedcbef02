// Which versions of the CNI specification other plugins speak: each is asked (VERSION of the specification), once for as long as its
// file stays the same. A runtime sends the highest version of the configuration to all plugins of the chain, and fails every pod
// when one of them does not know it.
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { messageOf } from '#/lib/log.ts'

const timeoutMs = 10_000
/** Before one that did not answer is asked again. */
const retryMs = 60_000

/** `unknown` says nothing of the plugin: this process may not be able to run what the runtime can, now or ever. */
export type Spoken =
  | { readonly kind: 'asked' }
  | { readonly kind: 'known'; readonly versions: readonly string[] }
  | { readonly kind: 'unknown'; readonly why: string }

function versionsIn(answer: string): readonly string[] {
  const { supportedVersions } = JSON.parse(answer) as { supportedVersions?: unknown }
  if (!Array.isArray(supportedVersions)) throw new Error('its answer has no supportedVersions')
  return supportedVersions.filter((each) => typeof each === 'string')
}

function unknown(error: unknown): Spoken {
  return { kind: 'unknown', why: `it does not tell which CNI versions it speaks: ${messageOf(error)}` }
}

/** Throws what execve(2) says of a file that cannot be executed just now. */
function ask(path: string, onAnswer: (spoken: Spoken) => void): void {
  const env = { CNI_COMMAND: 'VERSION', CNI_PATH: '/' }
  const child = execFile(path, { env, timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, stdout) => {
    try {
      if (error) throw error
      onAnswer({ kind: 'known', versions: versionsIn(stdout) })
    } catch (cause) {
      onAnswer(unknown(cause))
    }
  })
  // one that ends without reading is heard all the same
  child.stdin?.on('error', () => {})
  child.stdin?.end('{"cniVersion":"1.0.0"}')
}

type Entry = { readonly look: string; readonly askedMs: number; spoken: Spoken }

export class PluginVersions {
  readonly #onAnswer: () => void
  /** By path, each with what the file looked like when it was asked. */
  readonly #known = new Map<string, Entry>()

  /** `onAnswer` is called when one that was asked has answered, or will not. */
  constructor(onAnswer: () => void) {
    this.#onAnswer = onAnswer
  }

  /** What the plugin of that path speaks, as far as it is known; undefined when it is not there. Never throws. */
  of(path: string): Spoken | undefined {
    try {
      const stats = statSync(path, { throwIfNoEntry: false, bigint: true })
      if (stats === undefined) return undefined
      return this.#spoken(path, `${stats.ino} ${stats.size} ${stats.mode} ${stats.mtimeNs}`)
    } catch (error) {
      return unknown(error)
    }
  }

  #spoken(path: string, look: string): Spoken {
    const nowMs = performance.now()
    const known = this.#known.get(path)
    const isOver = known?.spoken.kind === 'unknown' && nowMs - known.askedMs >= retryMs
    if (known?.look === look && !isOver) return known.spoken
    const entry: Entry = { look, askedMs: nowMs, spoken: { kind: 'asked' } }
    this.#known.set(path, entry)
    try {
      ask(path, (spoken) => {
        entry.spoken = spoken
        this.#onAnswer()
      })
    } catch (error) {
      entry.spoken = unknown(error)
    }
    return entry.spoken
  }
}
