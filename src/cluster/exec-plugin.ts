// Runs a client-go credential plugin (KEP-541, https://kubernetes.io/docs/reference/access-authn-authz/authentication/
// #client-go-credential-plugins): a program that prints an ExecCredential with a token or a client certificate.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fieldsOf, isFields } from '#/model/kubernetes.ts'
import type { ExecPlugin, ServerConfig } from './config.ts'
import { ConfigError } from './config.ts'
import { describe, oneLine } from './errors.ts'

export type ExecCredential = {
  readonly token?: string
  readonly cert?: string
  readonly key?: string
  /** Milliseconds since 1970; absent when the credential is good until the server refuses it. */
  readonly expiresAtMs?: number
}

const runLimits = { timeout: 60_000, maxBuffer: 1 << 20, killSignal: 'SIGKILL' } as const

/** Runs the plugin. Throws ConfigError, with the plugin's own error message where it gave one. */
export async function runExecPlugin(plugin: ExecPlugin, config: ServerConfig): Promise<ExecCredential> {
  const env = { ...process.env, ...plugin.env, KUBERNETES_EXEC_INFO: JSON.stringify(await execInfo(plugin, config)) }
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const child = execFile(plugin.command, plugin.args, { ...runLimits, env }, (error, stdout, stderr) => {
    if (error === null) resolve(stdout)
    else reject(failureOf(plugin, error, stderr))
  })
  child.stdin?.end()
  return readExecCredential(await promise, plugin)
}

function failureOf(plugin: ExecPlugin, error: Error, stderr: string): ConfigError {
  const { code, killed } = fieldsOf(error)
  const what = `${plugin.field}: credential plugin "${plugin.command}"`
  if (code === 'ENOENT') {
    const hint = plugin.installHint === '' ? 'install it or give its path' : plugin.installHint
    return new ConfigError(`${what} was not found: ${hint}`)
  }
  if (killed === true && code !== 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
    return new ConfigError(`${what} gave no answer within ${runLimits.timeout / 1000} s`)
  }
  const words = oneLine(stderr)
  return new ConfigError(
    `${what} failed: ${typeof code === 'number' ? `exit status ${code}: ${words}` : describe(error)}`,
  )
}

async function execInfo(plugin: ExecPlugin, config: ServerConfig): Promise<unknown> {
  const info = { apiVersion: plugin.apiVersion, kind: 'ExecCredential' }
  if (!plugin.provideClusterInfo) return { ...info, spec: { interactive: false } }
  const { ca } = config
  const caText = ca === undefined ? undefined : ca.kind === 'inline' ? ca.text : await readFile(ca.path, 'utf8')
  const cluster = {
    server: config.server.href.replace(/\/$/, ''),
    ...(config.serverName === undefined ? {} : { 'tls-server-name': config.serverName }),
    ...(config.insecure ? { 'insecure-skip-tls-verify': true } : {}),
    ...(caText === undefined ? {} : { 'certificate-authority-data': Buffer.from(caText).toString('base64') }),
  }
  return { ...info, spec: { interactive: false, cluster } }
}

/** Reads the ExecCredential that a plugin printed; throws ConfigError. */
export function readExecCredential(output: string, plugin: ExecPlugin): ExecCredential {
  const wrong = (problem: string): ConfigError =>
    new ConfigError(`${plugin.field}: credential plugin "${plugin.command}" printed ${problem}`)
  let parsed: unknown
  try {
    parsed = JSON.parse(output)
  } catch {
    throw wrong('no JSON')
  }
  const { kind, apiVersion, status } = fieldsOf(parsed)
  if (kind !== 'ExecCredential') throw wrong('no ExecCredential')
  if (apiVersion !== plugin.apiVersion)
    throw wrong(`apiVersion ${JSON.stringify(apiVersion)}, expected ${plugin.apiVersion}`)
  if (!isFields(status)) throw wrong('an ExecCredential without status')
  const text = (field: string): string | undefined => {
    const value = status[field]
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value !== 'string') throw wrong(`a status.${field} that is no text`)
    return value
  }
  const [token, cert, key] = [text('token'), text('clientCertificateData'), text('clientKeyData')]
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw wrong('a status.token that is no bearer token')
  if ((cert === undefined) !== (key === undefined)) throw wrong('only one of clientCertificateData and clientKeyData')
  if (token === undefined && cert === undefined) throw wrong('neither a token nor a client certificate')
  const expiry = text('expirationTimestamp')
  const expiresAtMs = expiry === undefined ? undefined : Date.parse(expiry)
  if (Number.isNaN(expiresAtMs)) throw wrong('a status.expirationTimestamp that is no RFC 3339 time')
  return {
    ...(token === undefined ? {} : { token }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
  }
}
