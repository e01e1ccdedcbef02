// The configuration file of a standalone speaker: SpeakerConfig (model/bgp.ts) as JSON, addresses and prefixes as text. What is not
// said has the default that the cluster's objects have. A file is written by a person: anything wrong refuses it whole.
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import {
  type OriginatedRoute,
  type PeerConfig,
  type PolicyRule,
  type RouteMatch,
  type RoutePolicy,
  type SpeakerConfig,
} from '#/model/bgp.ts'
import { asnRange, bgpDefaults, bgpRanges, communityFault, sessionModes } from '#/model/bgp-limits.ts'
import { addrIn, prefixIn, present, readTimers, wholeTimers } from '#/model/bgp-sections.ts'
import { fieldsOf } from '#/model/kubernetes.ts'
import { SpecReader } from '#/model/spec-reader.ts'

const actions = ['accept', 'reject'] as const

/** Stands in where a prefix or an address is missing, until the problems are thrown. */
const noPrefix = Prefix.parse('0.0.0.0/0')

/** One object of the file: a reader that refuses misspelt fields, and fields that must be there. */
class Section extends SpecReader {
  readonly #fields: unknown
  readonly #at: string
  readonly #problems: string[]

  constructor(fields: unknown, at: string, problems: string[], names: readonly string[]) {
    super(fields, at, problems)
    this.#fields = fields
    this.#at = at
    this.#problems = problems
    for (const name of Object.keys(fieldsOf(fields)).filter((each) => !names.includes(each)))
      this.refuse(name, `there is no such field; there are ${names.join(', ')}`)
  }

  /** The object under a field, if it is there. */
  section<T>(field: string, names: readonly string[], read: (section: Section) => T): T | undefined {
    if (!this.has(field)) return undefined
    return read(new Section(this.value(field), `${this.#at}.${field}`, this.#problems, names))
  }

  /** The objects of a list. */
  sections<T>(field: string, names: readonly string[], read: (section: Section) => T): T[] {
    const list = fieldsOf(this.#fields)[field] ?? []
    if (!Array.isArray(list)) {
      this.refuse(field, 'is no list')
      return []
    }
    return list.map((each, index) => read(new Section(each, `${this.#at}.${field}[${index}]`, this.#problems, names)))
  }

  /** What stands in for a value that is missing only lives until the problems are thrown. */
  required<T>(field: string, value: T | undefined, standIn: T): T {
    if (value === undefined && !this.has(field)) this.refuse(field, 'is missing')
    return value ?? standIn
  }
}

function readFamilies(peer: Section, addr: Addr | undefined): Family[] {
  if (!peer.has('families')) return addr === undefined ? [4, 6] : [addr.family]
  const value = peer.value('families')
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  const families = ([4, 6] as const).filter((family) => list.includes(family))
  if (families.length === 0 || families.length !== list.length) peer.refuse('families', 'expected [4], [6] or [4, 6]')
  return families
}

function readMatch(match: Section): RouteMatch {
  const prefixes = match.sections('prefixes', ['prefix', 'minLength', 'maxLength'], (entry) => {
    const prefix = entry.required<Prefix>('prefix', entry.parsed('prefix', prefixIn), noPrefix)
    const minLength = entry.number('minLength', bgpRanges.prefixLength)
    const maxLength = entry.number('maxLength', bgpRanges.prefixLength)
    return { prefix, ...present({ minLength, maxLength }) }
  })
  return present<RouteMatch>({
    prefixes: match.has('prefixes') ? prefixes : undefined,
    communities: match.has('communities') ? match.texts('communities', communityFault) : undefined,
    firstAsn: match.number('firstAsn', asnRange),
    originAsn: match.number('originAsn', asnRange),
  })
}

const setFields = ['localPreference', 'med', 'prependTimes', 'addCommunities', 'removeCommunities']

function readRule(rule: Section): PolicyRule {
  const set = rule.section('set', setFields, (changes) =>
    present<NonNullable<PolicyRule['set']>>({
      localPreference: changes.number('localPreference', bgpRanges.uint32),
      med: changes.number('med', bgpRanges.uint32),
      prependTimes: changes.number('prependTimes', bgpRanges.prependTimes),
      addCommunities: changes.has('addCommunities') ? changes.texts('addCommunities', communityFault) : undefined,
      removeCommunities: changes.has('removeCommunities')
        ? changes.texts('removeCommunities', communityFault)
        : undefined,
    }),
  )
  const matchFields = ['prefixes', 'communities', 'firstAsn', 'originAsn']
  return {
    match: rule.section('match', matchFields, readMatch) ?? {},
    action: rule.required('action', rule.choice('action', actions), 'reject'),
    ...present({ name: rule.text('name'), set }),
  }
}

function readPolicy(policy: Section): RoutePolicy {
  const rules = policy.sections('rules', ['name', 'match', 'action', 'set'], readRule)
  const otherwise = policy.choice('otherwise', actions) ?? 'reject'
  return { rules, otherwise, ...present({ otherwiseBecause: policy.text('otherwiseBecause') }) }
}

const peerFields = (
  'name addr device port localAddr localAsn remoteAsn families mode timers gracefulRestart bfd password ttlSecurityHops ' +
  'multihopTtl maxPrefixes importPolicy exportPolicy isReflectorClient nextHopSelf allowOwnAsn'
).split(' ')
const timerFields = ['holdTimeSeconds', 'keepaliveSeconds', 'connectRetrySeconds']

function readPeer(peer: Section, asn: number): PeerConfig {
  const addr = peer.parsed('addr', addrIn)
  const device = peer.text('device')
  if (!peer.has('addr') && device === undefined) peer.refuse('addr', 'is missing, and so is "device" in its place')
  const remoteAsn = peer.value('remoteAsn') === 'external' ? 'external' : peer.number('remoteAsn', asnRange)
  const gracefulRestart = peer.section(
    'gracefulRestart',
    ['restartTimeSeconds', 'stalePathTimeSeconds', 'longLivedStaleTimeSeconds'],
    (restart) => ({
      restartTimeSeconds:
        restart.number('restartTimeSeconds', bgpRanges.restartTimeSeconds) ?? bgpDefaults.restartTimeSeconds,
      stalePathTimeSeconds:
        restart.number('stalePathTimeSeconds', bgpRanges.stalePathTimeSeconds) ?? bgpDefaults.stalePathTimeSeconds,
      ...present({
        longLivedStaleTimeSeconds: restart.number('longLivedStaleTimeSeconds', bgpRanges.longLivedStaleTimeSeconds),
      }),
    }),
  )
  const bfd = peer.section('bfd', ['intervalMs', 'detectMultiplier'], (settings) => ({
    intervalMs: settings.number('intervalMs', bgpRanges.bfdIntervalMs) ?? bgpDefaults.bfdIntervalMs,
    detectMultiplier:
      settings.number('detectMultiplier', bgpRanges.bfdDetectMultiplier) ?? bgpDefaults.bfdDetectMultiplier,
  }))
  const { count, warningPercent } = bgpDefaults.maxPrefixes
  const maxPrefixes = peer.section('maxPrefixes', ['count', 'warningPercent', 'restartSeconds'], (limit) => ({
    count: limit.number('count', bgpRanges.maxPrefixesCount) ?? count,
    warningPercent: limit.number('warningPercent', bgpRanges.warningPercent) ?? warningPercent,
    ...present({ restartSeconds: limit.number('restartSeconds', bgpRanges.maxPrefixesRestartSeconds) }),
  }))
  const policyFields = ['rules', 'otherwise', 'otherwiseBecause']
  return {
    name: peer.required('name', peer.text('name'), ''),
    port: peer.number('port', bgpRanges.port) ?? bgpDefaults.port,
    localAsn: peer.number('localAsn', asnRange) ?? asn,
    remoteAsn: peer.required<number | 'external'>('remoteAsn', remoteAsn, 'external'),
    families: readFamilies(peer, addr),
    mode: peer.choice('mode', sessionModes) ?? 'both',
    timers: wholeTimers(peer.section('timers', timerFields, readTimers) ?? {}),
    isReflectorClient: peer.flag('isReflectorClient') ?? false,
    nextHopSelf: peer.flag('nextHopSelf') ?? false,
    allowOwnAsn: peer.number('allowOwnAsn', bgpRanges.allowOwnAsn) ?? 0,
    ...present({
      addr,
      device,
      localAddr: peer.parsed('localAddr', addrIn),
      gracefulRestart,
      bfd,
      maxPrefixes,
      password: peer.text('password'),
      ttlSecurityHops: peer.number('ttlSecurityHops', bgpRanges.ttlSecurityHops),
      multihopTtl: peer.number('multihopTtl', bgpRanges.multihopTtl),
      importPolicy: peer.section('importPolicy', policyFields, readPolicy),
      exportPolicy: peer.section('exportPolicy', policyFields, readPolicy),
    }),
  }
}

function readOriginated(route: Section): OriginatedRoute {
  const prefix = route.required<Prefix>('prefix', route.parsed('prefix', prefixIn), noPrefix)
  return { prefix, ...(route.has('communities') && { communities: route.texts('communities', communityFault) }) }
}

const speakerFields = 'routerId asn listenPort clusterId maxPaths multipathRelax isRestarting peers originated'.split(
  ' ',
)

function routerIdIn(text: string): Addr | string {
  const addr = addrIn(text)
  return typeof addr === 'string' || addr.family === 4 ? addr : `"${text}": expected four octets, such as 192.0.2.1`
}

/** Throws an error that names the file and every field that cannot be used. */
export function readSpeakerFile(text: string, fileName: string): SpeakerConfig {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`${fileName} is no JSON`, { cause: error })
  }
  const problems: string[] = []
  const speaker = new Section(value, 'speaker', problems, speakerFields)
  const asn = speaker.required('asn', speaker.number('asn', asnRange), asnRange.min)
  const listenPort = speaker.number('listenPort', bgpRanges.listenPort) ?? bgpDefaults.port
  const config: SpeakerConfig = {
    asn,
    routerId: speaker.required('routerId', speaker.parsed('routerId', routerIdIn), noPrefix.addr),
    maxPaths: speaker.number('maxPaths', bgpRanges.maxPaths) ?? bgpDefaults.maxPaths,
    multipathRelax: speaker.flag('multipathRelax') ?? false,
    isRestarting: speaker.flag('isRestarting') ?? false,
    peers: speaker.sections('peers', peerFields, (peer) => readPeer(peer, asn)),
    originated: speaker.sections('originated', ['prefix', 'communities'], readOriginated),
    ...(listenPort !== 0 && { listenPort }),
    ...present({ clusterId: speaker.parsed('clusterId', routerIdIn) }),
  }
  const names = config.peers.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) problems.push(`speaker.peers: two are named "${twice}"`)
  if (problems.length > 0) throw new Error(`${fileName}: ${problems.join('; ')}`)
  return config
}
