// Paths: a neighbour's (or our own) way to prefixes. One object stands for all prefixes that came with the same attributes and were
// taken by the same rule: a table of a hundred thousand prefixes is a hundred thousand references to few paths.
import { type LearnedRoute, type Reach } from '#/model/bgp.ts'
import { WellKnownCommunity } from '#/wire/bgp/index.ts'
import { type PathAttributes, type PathNextHop } from '#/wire/bgp/values.ts'
import { type Neighbour } from '../contract.ts'
import { hasCommunity, sameAttributes } from './attributes.ts'
import { type Outcome } from './policy.ts'

/** One peer's routes of one family, as paths need to know them. The same object over all sessions of that peer. */
export interface PathSource {
  readonly peer: string
  readonly isClient: boolean
  /** Paths of an earlier epoch were kept over a restart of the peer (RFC 4724). */
  readonly staleBefore: number
  /** Until when, by the wall clock, stale paths are kept at most. */
  readonly staleUntilMs?: number | undefined
}

/** What came in an UPDATE, before policy. */
export type Received = {
  readonly source: PathSource
  /** The session it came in. */
  readonly neighbour: Neighbour
  readonly attributes: PathAttributes
  readonly nextHop: PathNextHop
  /** Counts the source's sessions and refreshes. */
  readonly epoch: number
  /** Whether its next hop can be reached. */
  reach: { readonly by: Reach; readonly is: boolean } | undefined
  /** What import made of it, and under which settings. */
  decided: { readonly by: object; readonly refusal: string | undefined; paths: readonly Path[] } | undefined
}

/** All of a learned route but the prefix. */
export type Forwarding = Omit<LearnedRoute, 'prefix'>

export class Path {
  /** undefined: it is our own. */
  readonly received: Received | undefined
  /** After import policy. */
  readonly attributes: PathAttributes
  /** undefined when it did not come as far as policy, and on our own. */
  readonly outcome: Outcome | undefined
  /** Why it is no candidate. */
  readonly refusal: string | undefined
  /** Just this one: the list that most destinations have. */
  readonly alone: readonly Path[] = [this]
  /** What the kernel's side is told when it is the only one; kept so that prefixes share it. */
  forwarding: Forwarding | undefined

  constructor(
    attributes: PathAttributes,
    from?: {
      readonly received: Received
      readonly outcome?: Outcome | undefined
      readonly refusal?: string | undefined
    },
  ) {
    this.attributes = attributes
    this.received = from?.received
    this.outcome = from?.outcome
    this.refusal = from?.refusal
  }

  get source(): PathSource | undefined {
    return this.received?.source
  }

  get isInternal(): boolean {
    return this.received?.neighbour.isInternal === true
  }

  get isStale(): boolean {
    return this.received !== undefined && this.received.epoch < this.received.source.staleBefore
  }

  /** RFC 9494 section 4.3: a route of last resort. */
  get isLongLivedStale(): boolean {
    return hasCommunity(this.attributes, WellKnownCommunity['llgr-stale'])
  }

  /** An import policy's rule that is a grant took it. */
  get isAllowed(): boolean {
    return this.outcome?.isGrant === true
  }
}

function sameNextHop(one: PathNextHop, other: PathNextHop): boolean {
  if (!one.addr.equals(other.addr)) return false
  return one.linkLocal === undefined || other.linkLocal === undefined
    ? one.linkLocal === other.linkLocal
    : one.linkLocal.equals(other.linkLocal)
}

/** Whether neighbours would be told the same of both: when a session comes back with the paths of before, nobody is told again. */
export function isAlike(one: Path, other: Path): boolean {
  if (one === other) return true
  const [a, b] = [one.received, other.received]
  if (a === undefined || b === undefined) return a === b && sameAttributes(one.attributes, other.attributes)
  return (
    a.source === b.source &&
    a.neighbour.isInternal === b.neighbour.isInternal &&
    a.neighbour.remoteRouterId.equals(b.neighbour.remoteRouterId) &&
    a.neighbour.device === b.neighbour.device &&
    sameNextHop(a.nextHop, b.nextHop) &&
    sameAttributes(one.attributes, other.attributes)
  )
}
