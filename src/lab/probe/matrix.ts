// The connectivity matrix: every pod tries every other pod, over each family, with ICMP and with TCP.
import { eachOf } from '#/cluster/each-of.ts'
import type { Family } from '#/lib/addr.ts'
import { Netns } from '#/sys/netns.ts'
import { IcmpProber } from './icmp-prober.ts'
import { type Pair, pairsOf } from './pairs.ts'
import { failed, problemOf } from './problem.ts'
import { probeTcp } from './tcp-prober.ts'
import type { Outcome, ProbePod, ProbeResult, Protocol } from './types.ts'

export type MatrixOptions = {
  /** The timeout of each probe, its retries included. */
  readonly timeoutMs: number
  /** The port of the pods' echo servers; 8080 when absent. */
  readonly tcpPort?: number
  /** Both families when absent. */
  readonly families?: readonly Family[]
}

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

function resultOf({ from, to, family }: Pair, protocol: Protocol, outcome: Outcome): ProbeResult {
  const { ok, ...rest } = outcome
  return { from: from.name, to: to.name, family, protocol, ok, ...rest }
}

class Matrix {
  readonly #pairs: readonly Pair[]
  readonly #options: MatrixOptions
  readonly #sources: Sources

  constructor(pairs: readonly Pair[], options: MatrixOptions, sources: Sources) {
    this.#pairs = pairs
    this.#options = options
    this.#sources = sources
  }

  async run(): Promise<ProbeResult[]> {
    const [icmp, tcp] = await Promise.all([this.#icmp(), this.#tcp()])
    return this.#pairs.flatMap((pair, index) => [
      resultOf(pair, 'icmp', icmp.get(pair) ?? failed('not probed')),
      resultOf(pair, 'tcp', tcp[index]!),
    ])
  }

  async #tcp(): Promise<Outcome[]> {
    const options = { port: this.#options.tcpPort ?? 8080, timeoutMs: this.#options.timeoutMs }
    return eachOf(this.#pairs, connectionsAtOnce, async (pair) => {
      const source = this.#sources.get(pair.from)!
      return source instanceof Error ? failed(problemOf(source)) : probeTcp(source, pair, options)
    })
  }

  async #icmp(): Promise<ReadonlyMap<Pair, Outcome>> {
    const groups = Map.groupBy(this.#pairs, ({ from, family }) => `${family} ${from.netnsPath}`)
    const found = await eachOf([...groups.values()], probersAtOnce, async (pairs) => this.#icmpFrom(pairs))
    return new Map(found.flatMap((outcomes) => [...outcomes]))
  }

  /** Runs the ICMP probes of `pairs`, which have one source and family. */
  async #icmpFrom(pairs: readonly Pair[]): Promise<ReadonlyMap<Pair, Outcome>> {
    const { from, family } = pairs[0]!
    try {
      const netns = this.#sources.get(from)!
      if (netns instanceof Error) throw netns
      using prober = new IcmpProber({ family, pairs, timeoutMs: this.#options.timeoutMs }, { netns })
      return await prober.run()
    } catch (error) {
      return new Map(pairs.map((pair) => [pair, failed(problemOf(error))]))
    }
  }
}

/**
 * Probes all ordered pairs of pods. TCP needs serveEcho in each pod, and also detects an answer from another pod and a source address that
 * was changed on the way. Results are in the order of `pods`: from, to, family, ICMP before TCP. A failed probe never throws; a pod whose
 * namespace is gone fails all probes that start in it.
 */
export async function probeMatrix(pods: readonly ProbePod[], options: MatrixOptions): Promise<ProbeResult[]> {
  using stack = new DisposableStack()
  const pairs = pairsOf(pods, options.families ?? [4, 6])
  return await new Matrix(pairs, options, openSources(pods, stack)).run()
}
