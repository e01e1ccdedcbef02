// Reads the objects of the group causeway.dev into values: Routing, BGPConfiguration, BGPPeer and BGPNode. Readers accept whatever the API
// gives, report in words the fields that cannot be used, and use their defaults. Where a default would let more through than the author
// meant, the neighbour is blocked instead. docs/bgp-objects.md is the reference, src/install/definitions has the schemas.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type BfdSettings, type BgpGracefulRestart, type BgpTimers, type MaxPrefixes, type PeerConfig } from './bgp.ts'
import {
  bgpDefaults,
  bgpRanges,
  communityFault,
  deviceFault,
  familyNames,
  nodeMeshes,
  sessionModes,
} from './bgp-limits.ts'
import {
  addrIn,
  type PolicySpec,
  present,
  readAsn,
  readBfd,
  readGracefulRestart,
  readPolicy,
  readSecretRef,
  readTimers,
  type SecretRef,
  type Switched,
} from './bgp-sections.ts'
import { type DatapathName, datapathNames } from './datapath.ts'
import { fieldsOf, type KubeObject } from './kubernetes.ts'
import { type LabelSelector, selectsNothing } from './label-selector.ts'
import { type Problem, problem } from './problems.ts'
import { type Routing, routings } from './routing.ts'
import { SpecReader } from './spec-reader.ts'

/** The name of the object of a kind that may have only one. */
export const singletonName = 'default'

export type BgpConfiguration = {
  readonly asn: number
  /** Absent: the nodes do not listen. */
  readonly listenPort?: number
  readonly nodeMesh: (typeof nodeMeshes)[number]
  readonly reflectors: {
    /** The nodes that are route reflectors; absent: reflectors are chosen automatically. */
    readonly nodeSelector?: LabelSelector
    readonly count: number
    /** Reflectors are chosen only in an AS with more nodes than this. */
    readonly above: number
    readonly topologyKey: string
  }
  /** The first entry whose selector matches a node gives its AS number. */
  readonly localAsns: readonly { readonly nodeSelector: LabelSelector; readonly asn: number }[]
  readonly timers: Partial<BgpTimers>
  readonly gracefulRestart: Switched<BgpGracefulRestart>
  readonly bfd: Switched<BfdSettings>
  readonly maxPaths: number
  readonly multipathRelax: boolean
  readonly communities: readonly string[]
  /** The limit of prefixes of sessions of the mesh; absent fields have defaults that depend on the neighbour. */
  readonly meshMaxPrefixes: Partial<Pick<MaxPrefixes, 'count' | 'warningPercent' | 'restartSeconds'>>
  readonly meshPassword?: SecretRef
  /** Why the mesh must stay down; absent when it need not. */
  readonly meshBlockedBecause?: string
}

/** A neighbour of some nodes. Its timers, graceful restart and BFD hold only the fields that differ from the configuration. */
export type BgpPeer = {
  readonly name: string
  /** The nodes that have this neighbour; absent: all nodes. */
  readonly nodeSelector?: LabelSelector
  /** At least one of `addr` and `device` is present. */
  readonly addr?: Addr
  readonly device?: string
  readonly port: number
  readonly asn: number | 'external'
  readonly localAsn?: number
  readonly families?: readonly Family[]
  readonly mode: PeerConfig['mode']
  readonly password?: SecretRef
  readonly ttlSecurityHops?: number
  readonly multihopTtl?: number
  readonly timers: Partial<BgpTimers>
  readonly gracefulRestart: Switched<BgpGracefulRestart>
  readonly bfd: Switched<BfdSettings>
  readonly maxPrefixes: MaxPrefixes
  readonly isReflectorClient: boolean
  readonly nextHopSelf: boolean
  readonly allowOwnAsn: number
  readonly importPolicy?: PolicySpec
  readonly exportPolicy?: PolicySpec
  /** Why there is to be no session: a field that protects it cannot be used. */
  readonly blockedBecause?: string
}

/** The fields of a BGPNode, which apply to the node of that name. */
export type BgpNode = { readonly asn?: number; readonly routerId?: Addr; readonly isDrained: boolean }

type Read<T> = T & { readonly problems: readonly Problem[] }

function fieldProblems(
  kind: 'routing' | 'bgpconfiguration' | 'bgppeer',
  name: string,
  messages: Iterable<string>,
): Problem[] {
  return Array.from(messages, (message) => problem('CW4002', `${kind}/${name}`, message))
}

function specOf(object: KubeObject, problems: string[]): SpecReader {
  return new SpecReader(fieldsOf(object)['spec'], 'spec', problems)
}

/** The object named "default"; other objects of the kind are reported as problems. */
function onlyOne(kind: string, objects: Iterable<KubeObject>): Read<{ object?: KubeObject }> {
  const all = [...objects]
  const object = all.find(({ metadata }) => metadata.name === singletonName)
  const problems = all
    .filter(({ metadata }) => metadata.name !== singletonName)
    .map(({ metadata }) =>
      problem(
        'CW4001',
        `${kind}/${metadata.name}`,
        `it is not looked at: the one that counts is named "${singletonName}"`,
      ),
    )
  return { ...(object && { object }), problems }
}

/** What a Routing asks for; absent fields leave it to the agents. */
export type RoutingSpec = { readonly mode?: Routing; readonly datapath?: DatapathName }

export function routingFrom(objects: Iterable<KubeObject>): Read<RoutingSpec> {
  const { object, problems } = onlyOne('routing', objects)
  if (object === undefined) return { problems }
  const messages: string[] = []
  const spec = specOf(object, messages)
  const wanted = present({ mode: spec.choice('mode', routings), datapath: spec.choice('datapath', datapathNames) })
  return { ...wanted, problems: [...problems, ...fieldProblems('routing', singletonName, messages)] }
}

function readConfiguration(spec: SpecReader, installNamespace: string): BgpConfiguration {
  const reflectors = spec.inner('reflectors')
  const listenPort = spec.number('listenPort', bgpRanges.listenPort) ?? bgpDefaults.port
  const meshPassword = spec.has('meshPasswordSecretRef')
    ? (readSecretRef(spec.inner('meshPasswordSecretRef'), installNamespace) ?? 'unreadable')
    : undefined
  return {
    asn: readAsn(spec, 'asn') ?? bgpDefaults.asn,
    ...(listenPort > 0 && { listenPort }),
    nodeMesh: spec.choice('nodeMesh', nodeMeshes) ?? 'Auto',
    reflectors: {
      ...present({ nodeSelector: reflectors.selector('nodeSelector') }),
      count: reflectors.number('count', bgpRanges.reflectorCount) ?? bgpDefaults.reflectorCount,
      above: reflectors.number('above', bgpRanges.reflectorsAbove) ?? bgpDefaults.reflectorsAbove,
      topologyKey: reflectors.text('topologyKey') ?? bgpDefaults.topologyKey,
    },
    localAsns: spec.each('localASNs').flatMap((entry) => {
      const asn = readAsn(entry, 'asn')
      const nodeSelector = entry.selector('nodeSelector') ?? selectsNothing
      for (const field of ['asn', 'nodeSelector']) if (!entry.has(field)) entry.refuse(field, 'is missing')
      return asn === undefined ? [] : [{ nodeSelector, asn }]
    }),
    timers: readTimers(spec.inner('timers')),
    gracefulRestart: readGracefulRestart(spec.inner('gracefulRestart')),
    bfd: readBfd(spec.inner('bfd')),
    maxPaths: spec.number('maxPaths', bgpRanges.maxPaths) ?? bgpDefaults.maxPaths,
    multipathRelax: spec.flag('multipathRelax') ?? true,
    communities: spec.texts('communities', communityFault),
    meshMaxPrefixes: readLimit(spec.inner('meshMaxPrefixes')),
    ...(meshPassword === 'unreadable' && {
      meshBlockedBecause: `BGPConfiguration ${singletonName}: spec.meshPasswordSecretRef names no Secret`,
    }),
    ...(typeof meshPassword === 'object' && { meshPassword }),
  }
}

/** The configuration for BGPPeers when there is no BGPConfiguration: it has no mesh. */
export const withoutConfiguration: BgpConfiguration = {
  ...readConfiguration(new SpecReader({}, 'spec', []), ''),
  nodeMesh: 'None',
}

/** The configuration when routing needs BGP and no object configures it: a mesh of all nodes. */
export const meshByDefault: BgpConfiguration = { ...withoutConfiguration, nodeMesh: 'Auto' }

/** Reads the object "default"; `configuration` is absent when there is none. */
export function bgpConfigurationFrom(
  objects: Iterable<KubeObject>,
  installNamespace: string,
): Read<{ configuration?: BgpConfiguration }> {
  const { object, problems } = onlyOne('bgpconfiguration', objects)
  if (object === undefined) return { problems }
  const messages: string[] = []
  const configuration = readConfiguration(specOf(object, messages), installNamespace)
  return { configuration, problems: [...problems, ...fieldProblems('bgpconfiguration', singletonName, messages)] }
}

function readFamilies(spec: SpecReader): Family[] | undefined {
  const all: readonly string[] = familyNames
  if (!spec.has('families')) return undefined
  const names = spec.texts('families', (text) => (all.includes(text) ? undefined : `expected ${all.join(' or ')}`))
  return names.length === 0 ? undefined : [...new Set(names.map((name): Family => (name === 'IPv4' ? 4 : 6)))]
}

function readPeerAsn(spec: SpecReader): number | 'external' | undefined {
  if (spec.value('peerASN') === 'external') return 'external'
  if (!spec.has('peerASN')) spec.refuse('peerASN', 'is missing: expected a number or "external"')
  return readAsn(spec, 'peerASN')
}

function readLimit(reader: SpecReader): BgpConfiguration['meshMaxPrefixes'] {
  return present({
    count: reader.number('count', bgpRanges.maxPrefixesCount),
    warningPercent: reader.number('warningPercent', bgpRanges.warningPercent),
    restartSeconds: reader.number('restartSeconds', bgpRanges.maxPrefixesRestartSeconds),
  })
}

/** Whether no router can have the address. */
function isNobodys(addr: Addr): boolean {
  return addr.isUnspecified || addr.isLoopback || addr.isMulticast || addr.isReserved
}

/**
 * The neighbour's address or device, and its AS; undefined when one of these is missing or wrong, because no session is possible without
 * them.
 */
function readEnd(spec: SpecReader): Pick<BgpPeer, 'addr' | 'device' | 'asn'> | undefined {
  const addr = spec.parsed('peerAddress', addrIn)
  const device = spec.text('device')
  const fault = device === undefined ? undefined : deviceFault(device)
  if (fault !== undefined) spec.refuse('device', `"${device}" ${fault}`)
  const asn = readPeerAsn(spec)
  if (!spec.has('peerAddress') && !spec.has('device'))
    spec.refuse('peerAddress', 'is missing: expected an address, or a device for an unnumbered neighbour')
  const isOfLink = addr?.family === 6 && addr.isLinkLocal
  if (isOfLink && device === undefined) spec.refuse('device', `is missing: ${addr} is a link-local address`)
  if (addr && isNobodys(addr)) spec.refuse('peerAddress', `${addr} cannot be a neighbour's`)
  const isUnusable =
    asn === undefined ||
    fault !== undefined ||
    (addr === undefined && (device === undefined || spec.has('peerAddress'))) ||
    (isOfLink && device === undefined) ||
    (addr && isNobodys(addr))
  return isUnusable ? undefined : { ...present({ addr, device }), asn }
}

/** Reads the fields that protect a session: when one of them is given and cannot be used, the session is blocked. */
function readProtection(spec: SpecReader, installNamespace: string) {
  const ttlSecurityHops = spec.number('ttlSecurityHops', bgpRanges.ttlSecurityHops)
  const multihopTtl = spec.number('multihopTTL', bgpRanges.multihopTtl)
  if (spec.has('ttlSecurityHops') && spec.has('multihopTTL'))
    spec.refuse('multihopTTL', 'it cannot be together with ttlSecurityHops')
  const policy = (field: 'importPolicy' | 'exportPolicy'): PolicySpec | undefined =>
    spec.has(field) ? readPolicy(spec.inner(field)) : undefined
  return present({
    ttlSecurityHops,
    multihopTtl,
    password: spec.has('passwordSecretRef')
      ? readSecretRef(spec.inner('passwordSecretRef'), installNamespace)
      : undefined,
    families: readFamilies(spec),
    importPolicy: policy('importPolicy'),
    exportPolicy: policy('exportPolicy'),
  })
}

/** Reads a BGPPeer. `peer` is absent when the object does not name a usable neighbour. */
export function bgpPeerOf(object: KubeObject, installNamespace: string): Read<{ peer?: BgpPeer }> {
  const { name } = object.metadata
  const grave: string[] = []
  const ofEnd: string[] = []
  const messages: string[] = []
  const end = readEnd(specOf(object, ofEnd))
  const spec = specOf(object, messages)
  const nodeSelector = spec.selector('nodeSelector')
  const protection = readProtection(specOf(object, grave), installNamespace)
  const peer = end && {
    name,
    ...end,
    ...present({ nodeSelector, localAsn: readAsn(spec, 'localASN') }),
    port: spec.number('peerPort', bgpRanges.port) ?? bgpDefaults.port,
    mode: spec.choice('mode', sessionModes) ?? 'both',
    timers: readTimers(spec.inner('timers')),
    gracefulRestart: readGracefulRestart(spec.inner('gracefulRestart')),
    bfd: readBfd(spec.inner('bfd')),
    maxPrefixes: { ...bgpDefaults.maxPrefixes, ...readLimit(spec.inner('maxPrefixes')) },
    isReflectorClient: spec.flag('reflectorClient') ?? false,
    nextHopSelf: spec.flag('nextHopSelf') ?? false,
    allowOwnAsn: spec.number('allowOwnASN', bgpRanges.allowOwnAsn) ?? 0,
    ...protection,
    ...(grave.length > 0 && { blockedBecause: `BGPPeer ${name}: ${grave[0]}` }),
  }
  const keptDown = [...new Set(grave)].map((message) => problem('CW4004', `bgppeer/${name}`, message))
  const unnamed = end === undefined ? new Set(ofEnd) : new Set<string>()
  const nobody = Array.from(unnamed, (message) => problem('CW4005', `bgppeer/${name}`, message))
  const mild = new Set([...ofEnd, ...messages]).difference(new Set(grave)).difference(unnamed)
  return { ...(peer && { peer }), problems: [...nobody, ...fieldProblems('bgppeer', name, mild), ...keptDown] }
}

/** Reads a router id; it may be any 32 bits but 0 (RFC 6286). */
function routerIdIn(text: string): Addr | string {
  const addr = addrIn(text)
  if (typeof addr === 'string') return addr
  return addr.family === 4 && !addr.isUnspecified ? addr : `${addr} is no router id: expected such as 192.0.2.1`
}

export function bgpNodeOf(object: KubeObject): Read<{ node: BgpNode }> {
  const messages: string[] = []
  const spec = specOf(object, messages)
  const node = {
    ...present({ asn: readAsn(spec, 'asn'), routerId: spec.parsed('routerID', routerIdIn) }),
    isDrained: spec.flag('drained') ?? false,
  }
  return { node, problems: messages.map((message) => problem('CW4003', `bgpnode/${object.metadata.name}`, message)) }
}
