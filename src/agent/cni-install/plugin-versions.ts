// Finds out which versions of the CNI specification other plugins speak. Each plugin is asked once (CNI command VERSION), and again
// when its file changes. A runtime sends the highest version of the configuration to all plugins of the chain, and every pod fails
// when one of them does not know that version.
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { messageOf } from '#/lib/log.ts'

const timeoutMs = 10_000
/** Time before a plugin that gave no answer is asked again. */
const retryMs = 60_000

/** `unknown` does not mean that the plugin is bad: the runtime may be able to run it even when this process cannot. */
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

/** Asks the plugin for its versions. Throws the error of execve(2) for a file that cannot be executed now. */
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
  // a plugin may end without reading its input: the failed write does not matter, its answer counts
  child.stdin?.on('error', () => {})
  child.stdin?.end('{"cniVersion":"1.0.0"}')
}

type Entry = { readonly look: string; readonly askedMs: number; spoken: Spoken }

export class PluginVersions {
  readonly #onAnswer: () => void
  /** The answers by path, each with the attributes that the plugin's file had when it was asked. */
  readonly #known = new Map<string, Entry>()

  /** `onAnswer` is called when a plugin has answered, or has failed to. */
  constructor(onAnswer: () => void) {
    this.#onAnswer = onAnswer
  }

  /** The versions that the plugin at `path` speaks, as far as they are known; undefined when there is no such file. Never throws. */
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
