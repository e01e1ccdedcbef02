// Sections that BGPConfiguration and BGPPeer both have. The first has defaults; the second has what differs from the first, so a
// default there would hide it.
import { bgpDefaults, bgpRanges, cidrSets, policyActions } from '#/model/bgp-limits.ts'
import {
  asn,
  choice,
  communities,
  defaulted,
  flag,
  holdTime,
  list,
  mapping,
  prefixes,
  type Schema,
  text,
  whole,
} from './schema.ts'

type Defaults = 'with defaults' | 'without defaults'

function orElse(defaults: Defaults, value: unknown): object {
  return defaults === 'with defaults' ? { default: value } : {}
}

export function timers(description: string, defaults: Defaults): Schema {
  return mapping(
    description,
    {
      holdTimeSeconds: whole(
        'A session ends when nothing is heard for this long; the shorter one of both sides counts. 0: never.',
        bgpRanges.holdTimeSeconds,
        { ...holdTime, ...orElse(defaults, bgpDefaults.holdTimeSeconds) },
      ),
      keepaliveSeconds: whole(
        'How often a keepalive is sent; a third of the hold time, unless told, and at most that.',
        bgpRanges.keepaliveSeconds,
      ),
      connectRetrySeconds: whole(
        'Pause before another attempt to connect, stretched by up to a quarter.',
        bgpRanges.connectRetrySeconds,
        orElse(defaults, bgpDefaults.connectRetrySeconds),
      ),
    },
    defaults === 'with defaults' ? defaulted : {},
  )
}

export function gracefulRestart(description: string, defaults: Defaults): Schema {
  return mapping(
    description,
    {
      enabled: flag('Whether it is offered to neighbours.', orElse(defaults, true)),
      restartTimeSeconds: whole(
        'How long neighbours keep the routes of an agent that restarts, until it is back.',
        bgpRanges.restartTimeSeconds,
        orElse(defaults, bgpDefaults.restartTimeSeconds),
      ),
      stalePathTimeSeconds: whole(
        'How long routes of a neighbour that restarted are kept until it has sent all of them again.',
        bgpRanges.stalePathTimeSeconds,
        orElse(defaults, bgpDefaults.stalePathTimeSeconds),
      ),
      longLivedStaleTimeSeconds: whole(
        'How long routes are kept beyond that, used only where there is nothing better (RFC 9494). Absent: not at all.',
        bgpRanges.longLivedStaleTimeSeconds,
      ),
    },
    defaults === 'with defaults' ? defaulted : {},
  )
}

export function bfd(description: string, defaults: Defaults): Schema {
  return mapping(
    description,
    {
      enabled: flag('Whether a session needs BFD to be up.', orElse(defaults, false)),
      intervalMs: whole(
        'How often a packet is sent, and wanted, in milliseconds.',
        bgpRanges.bfdIntervalMs,
        orElse(defaults, bgpDefaults.bfdIntervalMs),
      ),
      detectMultiplier: whole(
        'How many missing packets end the session.',
        bgpRanges.bfdDetectMultiplier,
        orElse(defaults, bgpDefaults.bfdDetectMultiplier),
      ),
    },
    defaults === 'with defaults' ? defaulted : {},
  )
}

const match = mapping('What a route must have, all of it; what is left out matches every route.', {
  prefixes: prefixes(
    'The prefix is in one of these. In a rule of importPolicy that accepts: what no router may bring unasked may come.',
  ),
  cidrSet: choice(
    'The prefix is one of the pod CIDRs of this node, or lies in the cluster CIDRs. With prefixes: it is there or here.',
    cidrSets,
  ),
  communities: communities('All of these communities: 65000:1, 65000:1:2, or a name.'),
  firstASN: asn('The AS that the path begins with: the neighbour.'),
  originASN: asn('The AS that the path ends with.'),
})

const set = mapping('What becomes of a route that is accepted.', {
  localPreference: whole('LOCAL_PREF; more is preferred, 100 where nothing is said.', bgpRanges.uint32),
  med: whole('MULTI_EXIT_DISC; less is preferred.', bgpRanges.uint32),
  prependTimes: whole('How often the own AS is put in front of the path once more.', bgpRanges.prependTimes),
  addCommunities: communities('Communities that are added.'),
  removeCommunities: communities('Communities that are taken away.'),
})

export function policy(description: string): Schema {
  const rule = mapping('A rule.', {
    name: text('What it is called in reports.', { maxLength: 63 }),
    match,
    action: choice('What becomes of a route that matches.', policyActions, { default: 'Accept' }),
    set,
  })
  return mapping(description, {
    rules: list('In order: the first that matches decides.', rule, { maxItems: 128 }),
    otherwise: choice('What becomes of a route that no rule matches.', policyActions, { default: 'Reject' }),
  })
}
