// Reads kubeconfig files into the one thing the client needs: where the server is and how to speak to it.
// Follows https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ and the merge rules of kubectl: of several files
// the first to set a value wins. Every error is one line that names the file and the field.
import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { isFields } from '#/model/kubernetes.ts'
import { parse } from 'yaml'
import { ConfigError, type ExecPlugin, type Material, type ServerConfig } from './config.ts'
import { describe, oneLine } from './errors.ts'
import { FieldReader } from './field-reader.ts'

type Named = { readonly name: string; readonly reader: FieldReader }
type Merged = { currentContext: string; contexts: Named[]; clusters: Named[]; users: Named[] }

/**
 * Reads a path, or several joined by ":" as in $KUBECONFIG, and follows the context of this name, or else current-context. Throws
 * ConfigError.
 */
export async function loadKubeconfig(pathList: string, wantedContext?: string): Promise<ServerConfig> {
  return resolveContext(await readMerged(pathList), pathsIn(pathList).join(':'), wantedContext)
}

/** Which context the current one is; '' where none is set. Throws ConfigError. */
export async function currentContextIn(pathList: string): Promise<string> {
  return (await readMerged(pathList)).currentContext
}

const pathsIn = (pathList: string): string[] => pathList.split(':').filter((path) => path !== '')

async function readMerged(pathList: string): Promise<Merged> {
  const paths = pathsIn(pathList)
  if (paths.length === 0) throw new ConfigError('kubeconfig: no path given')
  const merged: Merged = { currentContext: '', contexts: [], clusters: [], users: [] }
  for (const path of paths) {
    const text = await readKubeconfig(path, paths.length > 1)
    if (text !== undefined) merge(merged, readDocument(text, path))
  }
  return merged
}

/** Reads one file; as with kubectl, a missing file is skipped when it is one of several. */
async function readKubeconfig(path: string, isOneOfSeveral: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isOneOfSeveral && isFields(error) && error['code'] === 'ENOENT') return undefined
    throw new ConfigError(`kubeconfig ${path}: cannot be read: ${describe(error)}`)
  }
}

function readDocument(text: string, path: string): Merged {
  let document: unknown
  try {
    document = parse(text, { logLevel: 'error' })
  } catch (error) {
    throw new ConfigError(`kubeconfig ${path}: is no YAML: ${oneLine(describe(error).split('\n')[0] ?? '')}`)
  }
  if (!isFields(document)) throw new ConfigError(`kubeconfig ${path}: is empty or no YAML mapping`)
  const reader = new FieldReader(document, { file: `kubeconfig ${path}`, at: '' })
  const kind = reader.optionalText('kind')
  if (kind !== undefined && kind !== 'Config') throw reader.error('kind', `is "${kind}", expected "Config"`)
  return {
    currentContext: reader.optionalText('current-context') ?? '',
    contexts: namedOf(reader, 'contexts', 'context'),
    clusters: namedOf(reader, 'clusters', 'cluster'),
    users: namedOf(reader, 'users', 'user'),
  }
}

function namedOf(reader: FieldReader, list: string, member: string): Named[] {
  return reader.optionalList(list).map((entry) => {
    const name = entry.text('name')
    return { name, reader: entry.labelled(name).optionalObject(member) }
  })
}

function merge(into: Merged, from: Merged): void {
  into.currentContext ||= from.currentContext
  for (const list of ['contexts', 'clusters', 'users'] as const) {
    into[list].push(...from[list].filter(({ name }) => !into[list].some((known) => known.name === name)))
  }
}

function resolveContext(merged: Merged, file: string, wanted: string | undefined): ServerConfig {
  const name = wanted ?? merged.currentContext
  if (name === '') {
    throw new ConfigError(
      `kubeconfig ${file}: current-context: is not set; choose one with "kubectl config use-context"`,
    )
  }
  const context = find(merged.contexts, name)
  if (context === undefined) {
    const where = wanted === undefined ? 'current-context: ' : ''
    const there = merged.contexts.map((each) => each.name).join(', ')
    throw new ConfigError(`kubeconfig ${file}: ${where}there is no context "${name}"; there are: ${there || 'none'}`)
  }
  const clusterName = context.text('cluster')
  const cluster = find(merged.clusters, clusterName)
  if (cluster === undefined) throw context.error('cluster', `there is no cluster "${clusterName}"`)
  const userName = context.optionalText('user') ?? ''
  const user = userName === '' ? undefined : find(merged.users, userName)
  if (userName !== '' && user === undefined) throw context.error('user', `there is no user "${userName}"`)
  return { ...readCluster(cluster), ...(user === undefined ? {} : readUser(user)) }
}

function find(list: readonly Named[], name: string): FieldReader | undefined {
  return list.find((entry) => entry.name === name)?.reader
}

function readCluster(reader: FieldReader): ServerConfig {
  reader.refuse('proxy-url', 'proxies are not supported; reach the API server directly')
  const server = readServer(reader)
  const ca = materialOf(reader, 'certificate-authority')
  const insecure = reader.optionalBoolean('insecure-skip-tls-verify') ?? false
  if (insecure && ca !== undefined) {
    throw reader.error('insecure-skip-tls-verify', 'cannot be true while a certificate-authority is given; remove one')
  }
  const serverName = reader.optionalText('tls-server-name')
  return {
    server,
    insecure,
    ...(serverName === undefined ? {} : { serverName }),
    ...(ca === undefined ? {} : { ca }),
  }
}

function readServer(reader: FieldReader): URL {
  const text = reader.text('server')
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw reader.error('server', `"${text}" is no https:// or http:// URL`)
  }
  return url
}

function readUser(reader: FieldReader): Partial<ServerConfig> {
  reader.refuse('auth-provider', 'auth providers are gone from Kubernetes; use an exec plugin')
  for (const field of ['as', 'as-uid', 'as-groups', 'as-user-extra']) {
    reader.refuse(field, 'impersonation is not supported; use a user of its own')
  }
  const clientCert = materialOf(reader, 'client-certificate')
  const clientKey = materialOf(reader, 'client-key')
  if (clientCert !== undefined && clientKey === undefined) throw reader.error('client-key', 'is missing')
  if (clientCert === undefined && clientKey !== undefined) throw reader.error('client-certificate', 'is missing')
  const token = readToken(reader)
  const basic = readBasic(reader)
  if (token !== undefined && basic !== undefined)
    throw reader.error('username', 'cannot be given together with a token')
  const exec = reader.has('exec') ? readExec(reader.optionalObject('exec')) : undefined
  return {
    ...(clientCert === undefined ? {} : { clientCert }),
    ...(clientKey === undefined ? {} : { clientKey }),
    ...(token === undefined ? {} : { token }),
    ...(basic === undefined ? {} : { basic }),
    ...(exec === undefined ? {} : { exec }),
  }
}

function readToken(reader: FieldReader): Material | undefined {
  const path = reader.optionalText('tokenFile')
  if (path !== undefined) return { kind: 'file', path: besides(reader, path), field: reader.nameOf('tokenFile') }
  const token = reader.optionalText('token')
  if (token === undefined) return undefined
  // the token is a header's value: RFC 6750 section 2.1 allows fewer characters, but a line break would begin another header
  if (!/^[\x21-\x7e]+$/.test(token)) throw reader.error('token', 'has characters that no bearer token has')
  return { kind: 'inline', text: token, field: reader.nameOf('token') }
}

function readBasic(reader: FieldReader): string | undefined {
  const username = reader.optionalText('username')
  if (username === undefined) return undefined
  return Buffer.from(`${username}:${reader.optionalText('password') ?? ''}`).toString('base64')
}

/** `<field>-data` (base64 of PEM) or else the file named by `<field>`, as kubectl prefers them. */
function materialOf(reader: FieldReader, field: string): Material | undefined {
  const data = reader.optionalText(`${field}-data`)
  if (data !== undefined) {
    const text = decodeBase64(data)
    if (text === undefined) throw reader.error(`${field}-data`, 'is no base64')
    if (!text.includes('-----BEGIN ')) throw reader.error(`${field}-data`, 'holds no PEM block once decoded')
    return { kind: 'inline', text, field: reader.nameOf(`${field}-data`) }
  }
  const path = reader.optionalText(field)
  return path === undefined ? undefined : { kind: 'file', path: besides(reader, path), field: reader.nameOf(field) }
}

function decodeBase64(data: string): string | undefined {
  const packed = data.replace(/\s+/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(packed) || packed.length % 4 !== 0) return undefined
  return Buffer.from(packed, 'base64').toString('utf8')
}

/** Relative paths in a kubeconfig are relative to the file they stand in. */
function besides(reader: FieldReader, path: string): string {
  return isAbsolute(path) ? path : resolve(dirname(reader.file.replace(/^kubeconfig /, '')), path)
}

const execVersions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']

function readExec(reader: FieldReader): ExecPlugin {
  const apiVersion = reader.text('apiVersion')
  if (!execVersions.includes(apiVersion)) {
    throw reader.error('apiVersion', `is "${apiVersion}", expected ${execVersions.join(' or ')}`)
  }
  if (reader.optionalText('interactiveMode') === 'Always') {
    throw reader.error('interactiveMode', 'is Always, but there is no terminal to ask on; use a plugin that needs none')
  }
  const command = reader.text('command')
  return {
    apiVersion,
    // as in kubectl: a bare name is looked up in PATH, a path is relative to the kubeconfig
    command: command.includes('/') ? besides(reader, command) : command,
    args: reader.optionalTexts('args'),
    env: Object.fromEntries(
      reader.optionalList('env').map((entry) => [entry.text('name'), entry.optionalText('value') ?? '']),
    ),
    provideClusterInfo: reader.optionalBoolean('provideClusterInfo') ?? false,
    installHint: oneLine(reader.optionalText('installHint') ?? ''),
    field: reader.nameOf('command'),
  }
}
