// Which versions of the CNI specification other plugins speak: each is asked (VERSION of the specification), once for as long as its
// file stays the same. A runtime sends the highest version of the configuration to all plugins of the chain, and fails every pod
// when one of them does not know it.
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { messageOf } from '#/lib/log.ts'

const timeoutMs = 10_000

/** `why` a plugin cannot be used. */
export type Spoken =
  | { readonly kind: 'asked' }
  | { readonly kind: 'known'; readonly versions: readonly string[] }
  | { readonly kind: 'unusable'; readonly why: string }

function versionsIn(answer: string): readonly string[] {
  const { supportedVersions } = JSON.parse(answer) as { supportedVersions?: unknown }
  if (!Array.isArray(supportedVersions)) throw new Error('its answer has no supportedVersions')
  return supportedVersions.filter((each) => typeof each === 'string')
}

function ask(path: string, onAnswer: (spoken: Spoken) => void): void {
  const env = { CNI_COMMAND: 'VERSION', CNI_PATH: '/' }
  const child = execFile(path, { env, timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, stdout) => {
    try {
      if (error) throw error
      onAnswer({ kind: 'known', versions: versionsIn(stdout) })
    } catch (cause) {
      onAnswer({ kind: 'unusable', why: `it does not tell which CNI versions it speaks: ${messageOf(cause)}` })
    }
  })
  // one that ends without reading is heard all the same
  child.stdin?.on('error', () => {})
  child.stdin?.end('{"cniVersion":"1.0.0"}')
}

export class PluginVersions {
  readonly #onAnswer: () => void
  /** By path, each with what the file looked like when it was asked. */
  readonly #known = new Map<string, { readonly look: string; spoken: Spoken }>()

  /** `onAnswer` is called when one that was asked has answered, or will not. */
  constructor(onAnswer: () => void) {
    this.#onAnswer = onAnswer
  }

  /** What the plugin of that path speaks, as far as it is known; undefined when it is not there. */
  of(path: string): Spoken | undefined {
    const stats = statSync(path, { throwIfNoEntry: false, bigint: true })
    if (stats === undefined) return undefined
    const look = `${stats.ino} ${stats.size} ${stats.mode} ${stats.mtimeNs}`
    const known = this.#known.get(path)
    if (known?.look === look) return known.spoken
    const entry: { readonly look: string; spoken: Spoken } = { look, spoken: { kind: 'asked' } }
    this.#known.set(path, entry)
    ask(path, (spoken) => {
      entry.spoken = spoken
      this.#onAnswer()
    })
    return entry.spoken
  }
}
