// Sections that several BGP objects have: timers, graceful restart, BFD, passwords, policies.
import { Addr, Prefix } from '#/lib/addr.ts'
import { type BfdSettings, type BgpGracefulRestart, type BgpTimers, type RouteChanges, type RouteMatch } from './bgp.ts'
import {
  asnRange,
  bgpDefaults,
  bgpRanges,
  type CidrSet,
  cidrSets,
  communityFault,
  policyActions,
  reservedAsns,
} from './bgp-limits.ts'
import { type SpecReader } from './spec-reader.ts'

/** The place of a password: one key of a Secret. */
export type SecretRef = { readonly namespace: string; readonly name: string; readonly key: string }

export function secretKey({ namespace, name }: Pick<SecretRef, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`
}

/** What an object says of a feature that can be switched off as a whole; absent fields are taken from other objects or defaults. */
export type Switched<T> = Partial<T> & { readonly isEnabled?: boolean }

/** A policy as an object has it: the names for prefixes of node and cluster are not resolved yet. */
export type PolicySpec = { readonly rules: readonly PolicyRuleSpec[]; readonly otherwise: 'accept' | 'reject' }
export type PolicyRuleSpec = {
  readonly name?: string
  readonly match: RouteMatch
  readonly cidrSet?: CidrSet
  readonly action: 'accept' | 'reject'
  readonly set?: RouteChanges
}

/** A copy of `fields` without those that are undefined. */
export function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}

export function addrIn(text: string): Addr | string {
  return Addr.tryParse(text) ?? `"${text}" is no IP address`
}

export function prefixIn(text: string): Prefix | string {
  try {
    return Prefix.parse(text)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export function readAsn(reader: SpecReader, field: string): number | undefined {
  const asn = reader.number(field, asnRange)
  if (asn === undefined || !reservedAsns.includes(asn)) return asn
  reader.refuse(field, `${asn} is reserved and no AS's number`)
  return undefined
}

export function readTimers(reader: SpecReader): Partial<BgpTimers> {
  const hold = reader.number('holdTimeSeconds', bgpRanges.holdTimeSeconds)
  if (hold === 1 || hold === 2) reader.refuse('holdTimeSeconds', `${hold}: expected 0 or at least 3`)
  return present<BgpTimers>({
    holdTimeSeconds: hold === 1 || hold === 2 ? undefined : hold,
    keepaliveSeconds: reader.number('keepaliveSeconds', bgpRanges.keepaliveSeconds),
    connectRetrySeconds: reader.number('connectRetrySeconds', bgpRanges.connectRetrySeconds),
  })
}

/** Fills in all timers: the keepalive defaults to a third of the hold time and is never longer than that (RFC 4271 section 4.4). */
export function wholeTimers(given: Partial<BgpTimers>): BgpTimers {
  const { holdTimeSeconds = bgpDefaults.holdTimeSeconds, connectRetrySeconds = bgpDefaults.connectRetrySeconds } = given
  const third = Math.max(holdTimeSeconds === 0 ? 0 : 1, Math.floor(holdTimeSeconds / 3))
  return { holdTimeSeconds, keepaliveSeconds: Math.min(given.keepaliveSeconds ?? third, third), connectRetrySeconds }
}

export function readGracefulRestart(reader: SpecReader): Switched<BgpGracefulRestart> {
  return present<Switched<BgpGracefulRestart>>({
    isEnabled: reader.flag('enabled'),
    restartTimeSeconds: reader.number('restartTimeSeconds', bgpRanges.restartTimeSeconds),
    stalePathTimeSeconds: reader.number('stalePathTimeSeconds', bgpRanges.stalePathTimeSeconds),
    longLivedStaleTimeSeconds: reader.number('longLivedStaleTimeSeconds', bgpRanges.longLivedStaleTimeSeconds),
  })
}

/** Fills in graceful restart, which is on unless switched off; undefined when off. */
export function wholeGracefulRestart(given: Switched<BgpGracefulRestart>): BgpGracefulRestart | undefined {
  const { isEnabled = true, ...times } = given
  const { restartTimeSeconds, stalePathTimeSeconds } = bgpDefaults
  return isEnabled ? { restartTimeSeconds, stalePathTimeSeconds, ...times } : undefined
}

export function readBfd(reader: SpecReader): Switched<BfdSettings> {
  return present<Switched<BfdSettings>>({
    isEnabled: reader.flag('enabled'),
    intervalMs: reader.number('intervalMs', bgpRanges.bfdIntervalMs),
    detectMultiplier: reader.number('detectMultiplier', bgpRanges.bfdDetectMultiplier),
  })
}

/** Fills in BFD, which is off unless switched on; undefined when off. */
export function wholeBfd(given: Switched<BfdSettings>): BfdSettings | undefined {
  const { isEnabled = false, ...settings } = given
  const { bfdIntervalMs: intervalMs, bfdDetectMultiplier: detectMultiplier } = bgpDefaults
  return isEnabled ? { intervalMs, detectMultiplier, ...settings } : undefined
}

/** Reads a reference to a Secret; undefined when it is absent, or, with a problem, when it names no Secret. */
export function readSecretRef(reader: SpecReader, installNamespace: string): SecretRef | undefined {
  const name = reader.text('name')
  const key = reader.text('key') ?? bgpDefaults.passwordKey
  const namespace = reader.text('namespace') ?? installNamespace
  if (name !== undefined) return { namespace, name, key }
  if (!reader.has('name')) reader.refuse('name', 'is missing')
  return undefined
}

function readPrefixes(reader: SpecReader): RouteMatch['prefixes'] {
  if (!reader.has('prefixes')) return undefined
  return reader.each('prefixes').flatMap((entry) => {
    const prefix = entry.parsed('cidr', prefixIn)
    if (prefix === undefined) {
      if (!entry.has('cidr')) entry.refuse('cidr', 'is missing')
      return []
    }
    const range = { min: prefix.length, max: prefix.addr.bits }
    const minLength = entry.number('minLength', range)
    const maxLength = entry.number('maxLength', range)
    const longest = maxLength ?? prefix.length
    if (minLength !== undefined && minLength > longest) entry.refuse('maxLength', `${longest} is less than minLength`)
    return [{ prefix, ...present({ minLength, maxLength }) }]
  })
}

function readSet(reader: SpecReader): RouteChanges {
  return present<RouteChanges>({
    localPreference: reader.number('localPreference', bgpRanges.uint32),
    med: reader.number('med', bgpRanges.uint32),
    prependTimes: reader.number('prependTimes', bgpRanges.prependTimes),
    addCommunities: reader.has('addCommunities') ? reader.texts('addCommunities', communityFault) : undefined,
    removeCommunities: reader.has('removeCommunities') ? reader.texts('removeCommunities', communityFault) : undefined,
  })
}

function readRule(reader: SpecReader): PolicyRuleSpec {
  const match = reader.inner('match')
  const communities = match.has('communities') ? match.texts('communities', communityFault) : undefined
  return {
    ...present({ name: reader.text('name'), cidrSet: match.choice('cidrSet', cidrSets) }),
    match: present<RouteMatch>({
      prefixes: readPrefixes(match),
      communities,
      firstAsn: readAsn(match, 'firstASN'),
      originAsn: readAsn(match, 'originASN'),
    }),
    action: reader.choice('action', policyActions) === 'Reject' ? 'reject' : 'accept',
    ...(reader.has('set') && { set: readSet(reader.inner('set')) }),
  }
}

/** Reads a policy. A route that no rule matches is rejected unless the policy says otherwise (RFC 8212). */
export function readPolicy(reader: SpecReader): PolicySpec {
  const otherwise = reader.choice('otherwise', policyActions) === 'Accept' ? 'accept' : 'reject'
  return { rules: reader.each('rules').map(readRule), otherwise }
}
