// The speaker's last configuration, so that an agent that restarts while the API is away keeps its neighbours: they wait for a
// restart only so long (RFC 4724). It has passwords, so it is for root alone, and in memory: a reboot ends what it is for.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type SpeakerConfig } from '#/model/bgp.ts'
import { bgpFromJson } from '#/model/bgp-json.ts'
import { removeFile, writeWholeFile } from '../whole-file.ts'

export const savedConfigName = 'bgp-speaker.json'

export class SavedConfig {
  readonly #path: string
  /** What this process wrote last; `text` undefined: it removed the file. Absent: the file is as an earlier agent left it. */
  #written: { readonly text: string | undefined } | undefined

  constructor(runDir: string) {
    this.#path = join(runDir, savedConfigName)
  }

  /** Undefined when there is none, or none that can be read: then the API's has to be waited for. */
  read(): SpeakerConfig | undefined {
    try {
      // written below, by an agent of this or another version
      const config = bgpFromJson(readFileSync(this.#path, 'utf8')) as Partial<SpeakerConfig>
      const isWhole = config.routerId !== undefined && Array.isArray(config.peers) && Array.isArray(config.originated)
      return isWhole ? (config as SpeakerConfig) : undefined
    } catch {
      return undefined
    }
  }

  /** `text` is a configuration as JSON; undefined: no speaker is wanted. Throws the system's error. */
  write(text: string | undefined): void {
    if (this.#written !== undefined && text === this.#written.text) return
    if (text === undefined) removeFile(this.#path)
    else writeWholeFile(this.#path, Buffer.from(text), 0o600)
    this.#written = { text }
  }
}
