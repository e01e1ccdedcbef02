// For tests: an ApiServer on 127.0.0.1 in a temporary directory, and a client for it.
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silent } from '#/lib/log.ts'
import { ensureCertificates, type Certificates } from './certificates.ts'
import type { Execute } from './exec.ts'
import { dig, parseJson, type Json } from './json.ts'
import { ApiServer } from './server.ts'

export type Answer = {
  readonly code: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: Json
}

export type CallOptions = {
  readonly method?: string
  readonly body?: Json | string
  readonly type?: string
  readonly accept?: string
  readonly token?: string
}

const token = 'test-token'

export class TestServer implements AsyncDisposable {
  readonly directory: string
  readonly certificates: Certificates
  readonly token = token
  #server: ApiServer
  #port: number

  private constructor(directory: string, certificates: Certificates, server: ApiServer, port: number) {
    this.directory = directory
    this.certificates = certificates
    this.#server = server
    this.#port = port
  }

  static async start({ execute }: { readonly execute?: Execute } = {}): Promise<TestServer> {
    const directory = mkdtempSync(join(tmpdir(), 'causeway-api-'))
    const certificates = ensureCertificates(join(directory, 'pki'), {
      dnsNames: ['localhost'],
      addresses: ['127.0.0.1'],
    })
    const server = open(directory, certificates, execute)
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 })
    return new TestServer(directory, certificates, server, port)
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`
  }

  /** Closes the server and opens another one on the same state. */
  async restart(): Promise<void> {
    await this.stop()
    this.#port = 0
    await this.resume()
  }

  /** Closes the server: connections are refused until `resume`. */
  async stop(): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
  }

  /** Opens another server on the same state and port. What it remembers of changes begins anew, as that of a real server does. */
  async resume(): Promise<void> {
    this.#server = open(this.directory, this.certificates)
    this.#port = (await this.#server.listen({ host: '127.0.0.1', port: this.#port })).port
  }

  async call(path: string, options: CallOptions = {}): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const outgoing = this.#request(path, options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          code: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: text.startsWith('{') ? parseJson(text) : null,
        })
      })
    })
    outgoing.on('error', reject)
    return promise
  }

  /** The events of a watch until `enough` returns true. */
  async watch(
    path: string,
    enough: (events: readonly Json[]) => boolean,
    options: CallOptions = {},
  ): Promise<readonly Json[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Json[]>()
    const outgoing = this.#request(path, options, (response) => {
      const events: Json[] = []
      let rest = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        events.push(...lines.map(parseJson))
        if (!enough(events)) return
        resolve(events)
        outgoing.destroy()
      })
      response.on('end', () => resolve(events))
      response.on('error', reject)
    })
    outgoing.on('error', reject)
    return promise
  }

  #request(
    path: string,
    options: CallOptions,
    onResponse: NonNullable<Parameters<typeof request>[2]>,
  ): ReturnType<typeof request> {
    const { method = 'GET', body, type = 'application/json', accept = 'application/json' } = options
    const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
    const headers = {
      authorization: `Bearer ${options.token ?? token}`,
      accept,
      ...(payload !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(payload) }),
    }
    const outgoing = request(
      `${this.url}${path}`,
      { method, headers, ca: this.certificates.ca, agent: false },
      onResponse,
    )
    outgoing.end(payload)
    return outgoing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function open(directory: string, { key, cert }: Certificates, execute?: Execute): ApiServer {
  return new ApiServer({
    ...(execute && { execute }),
    stateDir: join(directory, 'state'),
    tokens: new Map([[token, { user: 'admin', groups: ['system:masters'] }]]),
    tls: { key, cert },
    log: silent,
  })
}

/** The text at a path of a Status or an object. */
export function at(answer: Answer, ...path: readonly string[]): string {
  const value = dig(answer.json, ...path)
  return typeof value === 'string' ? value : JSON.stringify(value)
}
