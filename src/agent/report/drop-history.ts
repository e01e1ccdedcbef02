// What drops and traffic of the programs were a moment ago, so that can be told what happens now: sums since the beginning do not say. Pure.
import { type DropCount, type PodTraffic, type Share, shareOf } from '#/datapath/programs.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { dropReasons, type DropReasonName } from '#/wire/bpf/reasons.ts'
import { reasonTold } from '#/wire/bpf/words.ts'

/** A problem of drops is gone when none came for this long. */
const quietMs = 300_000
/** How far back "lately" goes. */
const latelyMs = 60_000

/** Drops that say that somebody attacks, or is set up wrong. What is malformed or too much is the pod's own loss. */
const serious: Readonly<Partial<Record<DropReasonName, ProblemCode>>> = {
  source_address: 'CW3231',
  source_mac: 'CW3231',
  arp_sender: 'CW3231',
  neighbour_target: 'CW3231',
  router_message: 'CW3231',
  tunnel_owner: 'CW3232',
  tunnel_from_pod: 'CW3233',
}

function keyOf({ device, hook, reason }: Pick<DropCount, 'device' | 'hook' | 'reason'>): string {
  return `${device} ${hook} ${reason}`
}

type Seen = {
  readonly drop: DropCount
  readonly lastMs?: number
  /** Since the problem began. */ readonly recent: number
}

export class DropHistory {
  #seen: ReadonlyMap<string, Seen> | undefined

  /**
   * `nowMs` is a time since 1970. The first round says nothing of when: the counters are older than this agent. Returns whether more was
   * dropped that the maps may be wrong about: who is a pod's address, and who owns a source.
   */
  observe(drops: readonly DropCount[], nowMs: number): boolean {
    const before = this.#seen
    let isMore = false
    this.#seen = new Map(
      drops.map((drop) => {
        const known = before?.get(keyOf(drop))
        const more = before === undefined ? 0 : drop.packets - (known?.drop.packets ?? 0)
        const wasQuiet = known?.lastMs === undefined || nowMs - known.lastMs >= quietMs
        const recent = more > 0 ? more + (wasQuiet ? 0 : known.recent) : (known?.recent ?? 0)
        const lastMs = more > 0 ? nowMs : known?.lastMs
        isMore ||= more > 0 && serious[reasonTold(drop.reason).name as DropReasonName] !== undefined
        return [keyOf(drop), { drop, recent, ...(lastMs !== undefined && { lastMs }) }]
      }),
    )
    return isMore
  }

  /** When the counter, as just read, was last seen to grow; undefined when it did not since this agent started. */
  lastMs(drop: DropCount, nowMs: number): number | undefined {
    const seen = this.#seen?.get(keyOf(drop))
    const hasGrown = this.#seen !== undefined && drop.packets > (seen?.drop.packets ?? 0)
    return hasGrown ? nowMs : seen?.lastMs
  }

  /** `objectOf` gives the object that drops at a device are about; undefined for a device that is gone. */
  problems(nowMs: number, objectOf: (device: number) => string | undefined): Problem[] {
    const told = [...(this.#seen?.values() ?? [])].flatMap((seen) => {
      const { name } = reasonTold(seen.drop.reason)
      const code = serious[name as DropReasonName]
      const object = objectOf(seen.drop.device)
      const isRecent = seen.lastMs !== undefined && nowMs - seen.lastMs < quietMs
      return code && object !== undefined && isRecent ? [{ code, object, name: name as DropReasonName, seen }] : []
    })
    const groups = Map.groupBy(told, ({ code, object }) => `${code} ${object}`)
    return [...groups.values()].map((group) => {
      const { code, object } = group[0]!
      const lastMs = Math.max(...group.map(({ seen }) => seen.lastMs!))
      const facts = group
        .toSorted((a, b) => b.seen.recent - a.seen.recent)
        .map(({ name, seen: { recent } }) => `${recent} dropped: ${dropReasons[name].text}`)
      const remedies = new Set(group.map(({ name }) => dropReasons[name].remedy))
      return problem(code, object, `${facts.join('; ')}; the last at ${new Date(lastMs).toISOString()}`, {
        remedy: [...remedies].join('; '),
      })
    })
  }

  /** Forgets all: the counters are others now. */
  reset(): void {
    this.#seen = undefined
  }
}

export type PodShare = { readonly sent: Share; readonly received: Share }

export function podShare(traffic: PodTraffic): PodShare {
  return { sent: shareOf(traffic.from_pod), received: shareOf(traffic.to_pod) }
}

const less = (now: Share, then: Share): Share => ({
  carried: now.carried - then.carried,
  stack: now.stack - then.stack,
})

type Round = { readonly atMs: number; readonly shares: ReadonlyMap<number, PodShare> }

export class ShareHistory {
  #rounds: readonly Round[] = []

  /** `nowMs` is of a clock that never goes back. */
  observe(traffic: ReadonlyMap<number, PodTraffic>, nowMs: number): void {
    const shares = new Map([...traffic].map(([device, each]) => [device, podShare(each)]))
    this.#rounds = [...this.#rounds.filter(({ atMs }) => nowMs - atMs <= latelyMs), { atMs: nowMs, shares }]
  }

  /** What a pod's counters have grown by; undefined when nothing is known of a moment before, or the counters began anew since. */
  lately(device: number, now: PodShare, nowMs: number): (PodShare & { readonly seconds: number }) | undefined {
    const round = this.#rounds.find(({ shares }) => shares.has(device))
    const then = round?.shares.get(device)
    if (round === undefined || then === undefined) return undefined
    const [sent, received] = [less(now.sent, then.sent), less(now.received, then.received)]
    const isAnother = [sent, received].some(({ carried, stack }) => carried < 0 || stack < 0)
    const seconds = Math.round((nowMs - round.atMs) / 1000)
    return isAnother || seconds === 0 ? undefined : { seconds, sent, received }
  }

  reset(): void {
    this.#rounds = []
  }
}
