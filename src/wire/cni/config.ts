// The network configuration on a CNI call's standard input (SPEC section 3, "Deriving request configuration") and the capability arguments
// of CONVENTIONS.md that this plugin supports. Unknown keys are ignored.
import type { Addr } from '#/lib/addr.ts'
import { type Attachment, attachmentFault, isCniName } from './env.ts'
import { CniErrorCode, CniProtocolError } from './error.ts'
import {
  addr,
  fieldsOf,
  type IpRequest,
  type JsonObject,
  list,
  mac,
  maybeHostAddr,
  object,
  optional,
  port,
  text,
  uint,
} from './field.ts'
import { type CniVersion, cniVersions, isCniVersion } from './version.ts'

export type PortMapping = {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  /** Absent: all addresses of the node. */
  readonly hostIP?: Addr
}

/** Rates in bits per second, bursts in bits; 0 or absent is no limit. Ingress is towards the container. */
export type Bandwidth = {
  readonly ingressRate?: number
  readonly ingressBurst?: number
  readonly egressRate?: number
  readonly egressBurst?: number
}

export type RuntimeConfig = {
  readonly portMappings: readonly PortMapping[]
  readonly ips: readonly IpRequest[]
  readonly podAnnotations: ReadonlyMap<string, string>
  readonly bandwidth?: Bandwidth
  readonly mac?: string
  readonly dns?: {
    readonly servers: readonly string[]
    readonly searches: readonly string[]
    readonly options: readonly string[]
  }
}

/** The fields that every call has. */
export type NetworkConfig = {
  readonly cniVersion: CniVersion
  /** The network's name, not the plugin's. */
  readonly network: string
}

/** Parses standard input; throws CniProtocolError (code 6 for malformed JSON). */
export function parseConfigJson(stdin: Uint8Array): JsonObject {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(stdin))
  } catch (error) {
    const why = stdin.length === 0 ? 'standard input is empty' : error instanceof Error ? error.message : String(error)
    throw new CniProtocolError(CniErrorCode.decodingFailure, 'cannot decode the network configuration', why)
  }
  return object(json, 'network configuration')
}

/** Reads the version. It is read first, so that an error about anything else is written in the version of the request. */
export function readVersion(config: JsonObject): CniVersion {
  const version = config['cniVersion']
  if (isCniVersion(version)) return version
  const shown = typeof version === 'string' && version !== '' ? `"${version.slice(0, 40)}"` : 'none (which means 0.1.0)'
  const why = `the configuration has ${shown}; supported are ${cniVersions.join(', ')}`
  throw new CniProtocolError(CniErrorCode.incompatibleVersion, 'incompatible CNI versions', why)
}

export function readNetwork(config: JsonObject): NetworkConfig {
  const name = text(config['name'] ?? '', 'name')
  if (!isCniName(name)) throw new CniProtocolError(CniErrorCode.invalidConfig, 'invalid network name', `"${name}"`)
  const type = text(config['type'] ?? '', 'type')
  if (type === '' || /[/\\\0]/.test(type)) {
    throw new CniProtocolError(CniErrorCode.invalidConfig, 'invalid plugin type', `"${type}"`)
  }
  return { cniVersion: readVersion(config), network: name }
}

export const noRuntimeConfig: RuntimeConfig = { portMappings: [], ips: [], podAnnotations: new Map() }

export function readRuntimeConfig(config: JsonObject): RuntimeConfig {
  const path = 'runtimeConfig'
  const source = object(config[path] ?? {}, path)
  const annotations = object(source['io.kubernetes.cri.pod-annotations'] ?? {}, `${path} pod-annotations`)
  return {
    portMappings: list(source['portMappings'], `${path}.portMappings`, readPortMapping),
    ips: list(source['ips'], `${path}.ips`, maybeHostAddr),
    podAnnotations: new Map(Object.entries(annotations).map(([key, value]) => [key, text(value, `annotation ${key}`)])),
    ...optional('bandwidth', source['bandwidth'], `${path}.bandwidth`, readBandwidth),
    ...optional('mac', source['mac'], `${path}.mac`, mac),
    ...optional('dns', source['dns'], `${path}.dns`, readDns),
  }
}

/** `args.cni.ips` (CONVENTIONS.md, "args in network config"). */
export function readArgsIps(config: JsonObject): readonly IpRequest[] {
  const cni = object(object(config['args'] ?? {}, 'args')['cni'] ?? {}, 'args.cni')
  return list(cni['ips'], 'args.cni.ips', maybeHostAddr)
}

function readPortMapping(value: unknown, path: string): PortMapping {
  const field = fieldsOf(value, path)
  const protocol = text(field('protocol') ?? 'tcp', `${path}.protocol`).toLowerCase()
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') {
    const why = `"${protocol}" is none of tcp, udp, sctp`
    throw new CniProtocolError(CniErrorCode.invalidConfig, `invalid ${path}.protocol`, why)
  }
  return {
    hostPort: port(field('hostPort'), `${path}.hostPort`),
    containerPort: port(field('containerPort'), `${path}.containerPort`),
    protocol,
    ...optional('hostIP', field('hostIP'), `${path}.hostIP`, addr),
  }
}

function readBandwidth(value: unknown, path: string): Bandwidth {
  const field = fieldsOf(value, path)
  return {
    ...optional('ingressRate', field('ingressRate'), `${path}.ingressRate`, uint),
    ...optional('ingressBurst', field('ingressBurst'), `${path}.ingressBurst`, uint),
    ...optional('egressRate', field('egressRate'), `${path}.egressRate`, uint),
    ...optional('egressBurst', field('egressBurst'), `${path}.egressBurst`, uint),
  }
}

function readDns(value: unknown, path: string): NonNullable<RuntimeConfig['dns']> {
  const field = fieldsOf(value, path)
  return {
    servers: list(field('servers'), `${path}.servers`, text),
    searches: list(field('searches'), `${path}.searches`, text),
    options: list(field('options'), `${path}.options`, text),
  }
}

/**
 * The attachments that GC must leave alone. Undefined when the runtime sent no list (or null): nothing may be removed then, unlike with an
 * empty list. libcni 1.1 sends the same list also under a name from before the final text. One malformed entry makes the whole list
 * invalid, since an attachment that is misread would be removed.
 */
export function readValidAttachments(config: JsonObject): readonly Attachment[] | undefined {
  const key = ['cni.dev/valid-attachments', 'cni.dev/attachments'].find((name) => (config[name] ?? null) !== null)
  if (key === undefined) return undefined
  return list(config[key], key, (value, path) => {
    const source = object(value, path)
    const attachment = {
      containerId: text(source['containerID'], `${path}.containerID`),
      ifName: text(source['ifname'], `${path}.ifname`),
    }
    const fault = attachmentFault(attachment)
    if (fault !== undefined) throw new CniProtocolError(CniErrorCode.invalidConfig, `invalid ${path}`, fault.join(' '))
    return attachment
  })
}
