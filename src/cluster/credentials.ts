// The credentials of requests: TLS material and an Authorization header, kept fresh.
// Files are read again at most once a minute (bound service account tokens and kubelet certificates are rotated in place)
// and after a 401; a credential plugin runs again when its answer expires and after a 401.
import { readFile } from 'node:fs/promises'
import type { Clock } from './clock.ts'
import { ConfigError, type Material, type ServerConfig } from './config.ts'
import { describe } from './errors.ts'
import { type ExecCredential, runExecPlugin } from './exec-plugin.ts'

export type TlsMaterial = {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

export type Credential = { readonly tls: TlsMaterial; readonly authorization: string | undefined }

export interface CredentialSource {
  /** Gives the credential to use now. Throws ConfigError naming the file, field or plugin. */
  current(): Promise<Credential>
  /** Call it when the server refused `credential`: the next current() reads everything anew, unless that has happened since. */
  refused(credential: Credential): void
}

const fileMaxAgeMs = 60_000

export class Credentials implements CredentialSource {
  readonly #config: ServerConfig
  readonly #clock: Clock
  #cached: { credential: Credential; readAtMs: number; expiresAtMs: number } | undefined
  #last: Credential | undefined
  #plugin: ExecCredential | undefined
  #reading: Promise<Credential> | undefined

  constructor(config: ServerConfig, deps: { clock: Clock }) {
    this.#config = config
    this.#clock = deps.clock
  }

  current(): Promise<Credential> {
    const cached = this.#cached
    if (cached !== undefined && this.#isFresh(cached)) return Promise.resolve(cached.credential)
    // one reader at a time: a burst of requests must not start a burst of plugins
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  refused(credential: Credential): void {
    if (this.#cached?.credential !== credential) return
    this.#cached = undefined
    this.#plugin = undefined
  }

  #isFresh(cached: { readAtMs: number; expiresAtMs: number }): boolean {
    return this.#clock.monotonicMs() - cached.readAtMs < fileMaxAgeMs && this.#clock.wallMs() < cached.expiresAtMs
  }

  async #read(): Promise<Credential> {
    const { ca, clientCert, clientKey, token, basic } = this.#config
    const readAtMs = this.#clock.monotonicMs()
    const plugin = await this.#askPlugin()
    const bearer = (await readMaterial(token))?.trim() ?? plugin?.token
    const fresh: Credential = {
      tls: {
        ca: await readMaterial(ca),
        cert: (await readMaterial(clientCert)) ?? plugin?.cert,
        key: (await readMaterial(clientKey)) ?? plugin?.key,
      },
      authorization: bearer !== undefined ? `Bearer ${bearer}` : basic === undefined ? undefined : `Basic ${basic}`,
    }
    // the same object as long as nothing changed: connections are kept per credential object
    const credential = this.#last !== undefined && isSame(this.#last, fresh) ? this.#last : fresh
    this.#last = credential
    this.#cached = { credential, readAtMs, expiresAtMs: plugin?.expiresAtMs ?? Number.POSITIVE_INFINITY }
    return credential
  }

  async #askPlugin(): Promise<ExecCredential | undefined> {
    const { exec } = this.#config
    if (exec === undefined) return undefined
    const expiresAtMs = this.#plugin?.expiresAtMs ?? Number.POSITIVE_INFINITY
    if (this.#plugin === undefined || this.#clock.wallMs() >= expiresAtMs) {
      this.#plugin = await runExecPlugin(exec, this.#config)
    }
    return this.#plugin
  }
}

function isSame(left: Credential, right: Credential): boolean {
  return (
    left.authorization === right.authorization &&
    left.tls.ca === right.tls.ca &&
    left.tls.cert === right.tls.cert &&
    left.tls.key === right.tls.key
  )
}

async function readMaterial(material: Material | undefined): Promise<string | undefined> {
  if (material === undefined) return undefined
  if (material.kind === 'inline') return material.text
  let text: string
  try {
    text = await readFile(material.path, 'utf8')
  } catch (error) {
    throw new ConfigError(`${material.field}: cannot be read: ${describe(error)}`)
  }
  if (text.trim() === '') throw new ConfigError(`${material.field}: the file ${material.path} is empty`)
  return text
}
