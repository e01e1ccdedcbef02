// The environment of a CNI call (SPEC section 2, "Parameters"): its attachment, CNI_ARGS and trace context.
import { CniErrorCode, CniProtocolError } from './error.ts'
import { type IpRequest, maybeHostAddr } from './field.ts'

export type CniEnv = ReadonlyMap<string, string>

/** A runtime's name for one interface of one container; the key of everything stored about it. */
export type Attachment = {
  /** CNI_CONTAINERID: for Kubernetes the id of the pod's sandbox. */
  readonly containerId: string
  readonly ifName: string
}

/** The key of an attachment as text. Neither part can contain a colon, so the text is unambiguous, and it is a safe file name. */
export function attachmentKey({ containerId, ifName }: Attachment): string {
  return `${containerId}:${ifName}`
}

/** The arguments about the pod that Kubernetes runtimes pass in CNI_ARGS. */
export type CniArgs = {
  readonly podNamespace?: string
  readonly podName?: string
  readonly podUid?: string
  readonly infraContainerId?: string
  /** The `IP` argument: one requested address. */
  readonly ip?: IpRequest
}

/** W3C Trace Context as the runtime passes it (OTEP 258). */
export type TraceContext = {
  readonly traceparent: string
  readonly tracestate?: string
  readonly baggage?: string
}

function invalidEnv(name: string, why: string): CniProtocolError {
  return new CniProtocolError(CniErrorCode.invalidEnvironment, `invalid ${name}`, why)
}

/** SPEC: "Must start with an alphanumeric character, optionally followed by ... alphanumeric, underscore, dot or hyphen". */
export function isCniName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)
}

/** The id becomes part of a file's name, together with an interface's name; runtimes use 64 characters. */
const maxContainerIdLength = 200
/** Entries of /proc/sys/net/ipv4/conf that are not interfaces. */
const reservedIfNames = ['all', 'default']

function ifNameFault(name: string): string | undefined {
  if (name === '') return 'missing'
  if (new TextEncoder().encode(name).length > 15) return `"${name}" is longer than 15 bytes`
  if (name === '.' || name === '..' || reservedIfNames.includes(name)) return `"${name}" is no interface name`
  return /[/:%\s\p{Cc}]/u.test(name)
    ? `"${name}" holds a slash, a colon, a percent sign, white space or a control character`
    : undefined
}

/** Says which part of an attachment is missing or malformed, and why. */
export function attachmentFault({
  containerId,
  ifName,
}: Attachment): [part: keyof Attachment, why: string] | undefined {
  if (!isCniName(containerId)) return ['containerId', containerId === '' ? 'missing' : `"${containerId.slice(0, 80)}"`]
  if (containerId.length > maxContainerIdLength)
    return ['containerId', `"${containerId.slice(0, 40)}…" is longer than ${maxContainerIdLength} characters`]
  const why = ifNameFault(ifName)
  return why === undefined ? undefined : ['ifName', why]
}

export function readAttachment(env: CniEnv): Attachment {
  const attachment = { containerId: env.get('CNI_CONTAINERID') ?? '', ifName: env.get('CNI_IFNAME') ?? '' }
  const fault = attachmentFault(attachment)
  if (fault === undefined) return attachment
  throw invalidEnv(fault[0] === 'containerId' ? 'CNI_CONTAINERID' : 'CNI_IFNAME', fault[1])
}

/** Linux's PATH_MAX includes the final NUL. */
const maxPathBytes = 4095

/** Reads CNI_NETNS, which must be an absolute path; the kernel later checks that it is a namespace. */
export function readNetns(env: CniEnv): string {
  const path = env.get('CNI_NETNS') ?? ''
  if (path === '') throw invalidEnv('CNI_NETNS', 'missing')
  const isFine = path.startsWith('/') && !/\p{Cc}/u.test(path) && new TextEncoder().encode(path).length <= maxPathBytes
  if (!isFine) throw invalidEnv('CNI_NETNS', `"${path.slice(0, 80)}" is no absolute path`)
  return path
}

const argNames: ReadonlyMap<string, keyof CniArgs> = new Map([
  ['K8S_POD_NAMESPACE', 'podNamespace'],
  ['K8S_POD_NAME', 'podName'],
  ['K8S_POD_UID', 'podUid'],
  ['K8S_POD_INFRA_CONTAINER_ID', 'infraContainerId'],
] as const)

/**
 * Reads "FOO=BAR;ABC=123". As in libcni's LoadArgs an unknown key is an error unless IgnoreUnknown is set, which Kubernetes runtimes do.
 */
export function readArgs(env: CniEnv): CniArgs {
  const pairs = splitArgs(env.get('CNI_ARGS') ?? '')
  const ignoreUnknown = /^(1|true)$/i.test(pairs.get('IgnoreUnknown') ?? '')
  const known: [keyof CniArgs, unknown][] = []
  for (const [key, value] of pairs) {
    const name = argNames.get(key)
    if (name !== undefined) known.push([name, value])
    else if (key === 'IP') known.push(['ip', maybeHostAddr(value, 'CNI_ARGS IP')])
    else if (key !== 'IgnoreUnknown' && !ignoreUnknown) {
      throw invalidEnv('CNI_ARGS', `unknown key "${key}" (and IgnoreUnknown is not set)`)
    }
  }
  return Object.fromEntries(known)
}

function splitArgs(text: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>()
  for (const pair of text.split(';')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    if (at < 1) throw invalidEnv('CNI_ARGS', `"${pair}" is no KEY=VALUE`)
    pairs.set(pair.slice(0, at), pair.slice(at + 1))
  }
  return pairs
}

/**
 * Reads the trace context. Undefined when it is absent or malformed: W3C Trace Context section 3.2 says to continue as if it were absent.
 */
export function readTrace(env: CniEnv): TraceContext | undefined {
  const traceparent = env.get('TRACEPARENT') ?? ''
  if (!/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent)) return undefined
  const tracestate = env.get('TRACESTATE')
  const baggage = env.get('BAGGAGE')
  return {
    traceparent,
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(baggage === undefined ? {} : { baggage }),
  }
}
