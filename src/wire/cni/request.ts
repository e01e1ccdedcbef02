// A CNI call as a value: environment and standard input in, request or error out (SPEC section 2, "CNI operations").
//
// ADD and CHECK are read strictly. DEL is "best-effort": a DEL that can never succeed would keep its pod from ever being
// deleted, so everything in it except the attachment and the version may be missing or malformed.
// CNI_PATH is ignored, because Causeway delegates to no other plugin.
import {
  noRuntimeConfig,
  parseConfigJson,
  readArgsIps,
  readNetwork,
  readRuntimeConfig,
  readValidAttachments,
  readVersion,
  type NetworkConfig,
  type RuntimeConfig,
} from './config.ts'
import {
  type Attachment,
  type CniArgs,
  type CniEnv,
  readArgs,
  readAttachment,
  readNetns,
  readTrace,
  type TraceContext,
} from './env.ts'
import { type CniError, CniErrorCode, CniProtocolError } from './error.ts'
import type { IpRequest, JsonObject } from './field.ts'
import { type CniResult, decodeResult } from './result.ts'
import { type CniVersion, isAtLeast, isCniVersion, latestCniVersion } from './version.ts'

type Common = NetworkConfig & { readonly trace?: TraceContext }

type AttachmentParts = Common &
  Attachment & {
    readonly args: CniArgs
    readonly runtimeConfig: RuntimeConfig
    /** The addresses from runtimeConfig.ips, else args.cni.ips, else IP of CNI_ARGS: "the plugin must ignore the CNI_ARGS field". */
    readonly requestedIps: readonly IpRequest[]
  }

export type AddRequest = AttachmentParts & {
  readonly kind: 'add'
  readonly netns: string
  /** Present when another plugin ran earlier in the chain. */
  readonly prevResult?: CniResult
}

export type CheckRequest = AttachmentParts & {
  readonly kind: 'check'
  readonly netns: string
  readonly prevResult: CniResult
}

export type DelRequest = AttachmentParts & {
  readonly kind: 'del'
  /** Absent when the namespace is gone. */
  readonly netns?: string
  readonly prevResult?: CniResult
}

export type GcRequest = Common & {
  readonly kind: 'gc'
  /** Absent is different from empty: when absent, nothing may be removed. */
  readonly validAttachments?: readonly Attachment[]
}

export type StatusRequest = Common & { readonly kind: 'status' }

/** `cniVersion` is the requested one and is not checked: the answer lists the supported versions. */
export type VersionRequest = { readonly kind: 'version'; readonly cniVersion: string }

/** The operations that the agent executes; the CNI server answers VERSION by itself. */
export type CniOperation = AddRequest | DelRequest | CheckRequest | GcRequest | StatusRequest
export type CniRequest = CniOperation | VersionRequest

/** A request that cannot be served, and the version in which to write the error. */
export type CniRefusal = { readonly kind: 'error'; readonly cniVersion: CniVersion; readonly error: CniError }

/** Reads one call. Never throws: any fault of the call is returned as the error to print. */
export function parseCniRequest(env: CniEnv, stdin: Uint8Array): CniRequest | CniRefusal {
  let cniVersion = latestCniVersion
  try {
    const command = env.get('CNI_COMMAND') ?? ''
    if (command === 'VERSION') return { kind: 'version', cniVersion: askedVersion(stdin) }
    const read = readers.get(command)
    if (read === undefined) {
      const why = command === '' ? 'missing' : `"${command}" is none of ${[...readers.keys()].join(', ')}, VERSION`
      throw new CniProtocolError(CniErrorCode.invalidEnvironment, 'invalid CNI_COMMAND', why)
    }
    const config = parseConfigJson(stdin)
    cniVersion = readVersion(config)
    requireCommand(command, cniVersion)
    const trace = readTrace(env)
    return read(env, config, { ...readNetwork(config), ...(trace === undefined ? {} : { trace }) })
  } catch (error) {
    if (!(error instanceof CniProtocolError)) throw error
    return { kind: 'error', cniVersion, error: error.error }
  }
}

type OperationReader = (env: CniEnv, config: JsonObject, common: Common) => CniOperation

const readers: ReadonlyMap<string, OperationReader> = new Map<string, OperationReader>([
  ['ADD', readAdd],
  ['DEL', readDel],
  ['CHECK', readCheck],
  ['GC', readGc],
  ['STATUS', (_env, _config, common) => ({ ...common, kind: 'status' })],
])

/** The version in a VERSION call. libcni sends `{"cniVersion": …}`; a call by hand may send nothing. */
function askedVersion(stdin: Uint8Array): string {
  return lenient(() => {
    const version = parseConfigJson(stdin)['cniVersion']
    return isCniVersion(version) ? version : latestCniVersion
  }, latestCniVersion)
}

const introducedIn: ReadonlyMap<string, CniVersion> = new Map([
  ['CHECK', '0.4.0'],
  ['STATUS', '1.1.0'],
  ['GC', '1.1.0'],
])

function requireCommand(command: string, version: CniVersion): void {
  const needed = introducedIn.get(command) ?? version
  if (isAtLeast(version, needed)) return
  const why = `${command} exists from ${needed} on, the configuration has ${version}`
  throw new CniProtocolError(CniErrorCode.incompatibleVersion, `config version does not allow ${command}`, why)
}

function readParts(env: CniEnv, config: JsonObject, common: Common): AttachmentParts {
  const attachment = readAttachment(env)
  const args = readArgs(env)
  const runtimeConfig = readRuntimeConfig(config)
  const argsIps = readArgsIps(config)
  const fromEnv = args.ip === undefined ? [] : [args.ip]
  const requestedIps = [runtimeConfig.ips, argsIps].find((ips) => ips.length > 0) ?? fromEnv
  return { ...common, ...attachment, args, runtimeConfig, requestedIps }
}

function readAdd(env: CniEnv, config: JsonObject, common: Common): AddRequest {
  const parts = readParts(env, config, common)
  return { ...parts, kind: 'add', netns: readNetns(env), ...readPrevResult(config, common.cniVersion) }
}

function readCheck(env: CniEnv, config: JsonObject, common: Common): CheckRequest {
  const parts = readParts(env, config, common)
  const { prevResult } = readPrevResult(config, common.cniVersion)
  if (prevResult === undefined) {
    const why = 'the runtime must send the result of the ADD'
    throw new CniProtocolError(CniErrorCode.invalidConfig, 'prevResult missing', why)
  }
  return { ...parts, kind: 'check', netns: readNetns(env), prevResult }
}

function readDel(env: CniEnv, config: JsonObject, common: Common): DelRequest {
  const bare = { ...common, ...readAttachment(env), args: {}, runtimeConfig: noRuntimeConfig, requestedIps: [] }
  return {
    ...lenient<AttachmentParts>(() => readParts(env, config, common), bare),
    kind: 'del',
    ...lenient<{ readonly netns?: string }>(() => ({ netns: readNetns(env) }), {}),
    ...lenient<{ readonly prevResult?: CniResult }>(() => readPrevResult(config, common.cniVersion), {}),
  }
}

function readGc(_env: CniEnv, config: JsonObject, common: Common): GcRequest {
  const validAttachments = readValidAttachments(config)
  return { ...common, kind: 'gc', ...(validAttachments === undefined ? {} : { validAttachments }) }
}

function readPrevResult(config: JsonObject, version: CniVersion): { readonly prevResult?: CniResult } {
  const json = config['prevResult'] ?? undefined
  return json === undefined ? {} : { prevResult: decodeResult(json, version, 'prevResult') }
}

function lenient<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof CniProtocolError)) throw error
    return otherwise
  }
}
