// The connectivity matrix: every pod tries every other pod, over each family, with ICMP and with TCP. What policies forbid is tried as well,
// and must not arrive.
import { eachOf } from '#/cluster/each-of.ts'
import type { Family } from '#/lib/addr.ts'
import { Netns } from '#/sys/netns.ts'
import { Arrivals } from './arrivals.ts'
import { IcmpProber } from './icmp-prober.ts'
import { type Pair, pairsOf } from './pairs.ts'
import { failed, problemOf } from './problem.ts'
import { probeTcp } from './tcp-prober.ts'
import { type Outcome, type ProbePod, type ProbeResult, type Protocol, protocols } from './types.ts'

export type MatrixOptions = {
  /** The timeout of each probe, its retries included. */
  readonly timeoutMs: number
  /** The port of the pods' echo servers; 8080 when absent. */
  readonly tcpPort?: number
  /** Both families when absent. */
  readonly families?: readonly Family[]
  /** What forbids a probe, in words; undefined when policies allow it. Absent: there are none. */
  readonly deniedBy?: (pair: Pair, protocol: Protocol) => string | undefined
}

/** In this time a packet that is not dropped has arrived; who is not answered because of a policy need not be waited for. */
const deniedTimeoutMs = 1000
const defaultTcpPort = 8080

/** Limits the open descriptors. A matrix full of timeouts takes pairs / limit × timeout. */
const connectionsAtOnce = 512
/** Enough for all probers to run together: a prober has one descriptor, and waits for one timeout however many pods are silent. */
const probersAtOnce = 1024

type Sources = ReadonlyMap<ProbePod, Netns | Error>

function openSources(pods: readonly ProbePod[], stack: DisposableStack): Sources {
  const open = (pod: ProbePod): Netns | Error => {
    try {
      return stack.use(new Netns(pod.netnsPath))
    } catch (error) {
      return new Error(`pod ${pod.name} has no namespace`, { cause: error })
    }
  }
  return new Map(pods.map((pod) => [pod, open(pod)]))
}

function outcomeOf(ok: boolean, isDenied: boolean, hasArrived: boolean): ProbeResult['outcome'] {
  if (!isDenied) return ok ? 'ok' : 'broken'
  return ok || hasArrived ? 'leak' : 'denied'
}

class Matrix {
  readonly #pairs: readonly Pair[]
  readonly #options: MatrixOptions
  readonly #sources: Sources
  /** What forbids the probes of each pair, by protocol; pairs of which all is allowed have no entry. */
  readonly #denied = new Map<Pair, Partial<Record<Protocol, string>>>()
  readonly #arrivals = new Map<ProbePod, Arrivals>()

  /** The namespaces stay open as long as `stack`, and so does what is made here. */
  constructor(pairs: readonly Pair[], options: MatrixOptions, sources: Sources, stack: DisposableStack) {
    this.#pairs = pairs
    this.#options = options
    this.#sources = sources
    for (const pair of pairs) this.#expect(pair, stack)
  }

  #expect(pair: Pair, stack: DisposableStack): void {
    const { deniedBy } = this.#options
    for (const protocol of protocols) {
      const why = deniedBy?.(pair, protocol)
      if (why !== undefined) this.#denied.set(pair, { ...this.#denied.get(pair), [protocol]: why })
    }
    const target = this.#sources.get(pair.to)!
    if (!this.#denied.has(pair) || this.#arrivals.has(pair.to) || target instanceof Error) return
    this.#arrivals.set(pair.to, stack.use(new Arrivals(target, this.#port)))
  }

  get #port(): number {
    return this.#options.tcpPort ?? defaultTcpPort
  }

  #timeoutMs(pair: Pair, protocol: Protocol): number {
    const { timeoutMs } = this.#options
    return this.#denied.get(pair)?.[protocol] === undefined ? timeoutMs : Math.min(timeoutMs, deniedTimeoutMs)
  }

  #resultOf(pair: Pair, protocol: Protocol, outcome: Outcome): ProbeResult {
    const { from, to, family } = pair
    const deniedBy = this.#denied.get(pair)?.[protocol]
    const sources = from.addrs.filter((addr) => addr.family === family)
    const hasArrived = deniedBy !== undefined && sources.some((addr) => this.#arrivals.get(to)?.has(addr, protocol))
    return {
      from: from.name,
      to: to.name,
      family,
      protocol,
      ...outcome,
      outcome: outcomeOf(outcome.ok, deniedBy !== undefined, hasArrived),
      ...(deniedBy !== undefined && { deniedBy }),
    }
  }

  async run(): Promise<ProbeResult[]> {
    const [icmp, tcp] = await Promise.all([this.#icmp(), this.#tcp()])
    return this.#pairs.flatMap((pair, index) => [
      this.#resultOf(pair, 'icmp', icmp.get(pair) ?? failed('not probed')),
      this.#resultOf(pair, 'tcp', tcp[index]!),
    ])
  }

  async #tcp(): Promise<Outcome[]> {
    return eachOf(this.#pairs, connectionsAtOnce, async (pair) => {
      const source = this.#sources.get(pair.from)!
      if (source instanceof Error) return failed(problemOf(source))
      return probeTcp(source, pair, { port: this.#port, timeoutMs: this.#timeoutMs(pair, 'tcp') })
    })
  }

  async #icmp(): Promise<ReadonlyMap<Pair, Outcome>> {
    const groups = Map.groupBy(this.#pairs, (pair) => {
      const { family, from } = pair
      return `${family} ${this.#timeoutMs(pair, 'icmp')} ${from.netnsPath}`
    })
    const found = await eachOf([...groups.values()], probersAtOnce, async (pairs) => this.#icmpFrom(pairs))
    return new Map(found.flatMap((outcomes) => [...outcomes]))
  }

  /** Runs the ICMP probes of `pairs`, which have one source, family and timeout. */
  async #icmpFrom(pairs: readonly Pair[]): Promise<ReadonlyMap<Pair, Outcome>> {
    const [first] = pairs
    const { from, family } = first!
    const timeoutMs = this.#timeoutMs(first!, 'icmp')
    try {
      const netns = this.#sources.get(from)!
      if (netns instanceof Error) throw netns
      using prober = new IcmpProber({ family, pairs, timeoutMs }, { netns })
      return await prober.run()
    } catch (error) {
      return new Map(pairs.map((pair) => [pair, failed(problemOf(error))]))
    }
  }
}

/**
 * Probes all ordered pairs of pods. TCP needs serveEcho in each pod, and also detects an answer from another pod and a source address that
 * was changed on the way. Results are in the order of `pods`: from, to, family, ICMP before TCP. A failed probe never throws; a pod whose
 * namespace is gone fails all probes that start in it. A probe that `deniedBy` tells of is a leak as soon as a packet of it has arrived.
 */
export async function probeMatrix(pods: readonly ProbePod[], options: MatrixOptions): Promise<ProbeResult[]> {
  using stack = new DisposableStack()
  const pairs = pairsOf(pods, options.families ?? [4, 6])
  return await new Matrix(pairs, options, openSources(pods, stack), stack).run()
}
