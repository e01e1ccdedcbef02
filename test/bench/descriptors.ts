// Waiting for many file descriptors: one watcher (src/sys/fd-watcher.ts) against the two ways that it took the place of.
import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Addr } from '#/lib/addr.ts'
import { closeFd, libc } from '#/sys/libc.ts'
import { encodeSockaddr } from '#/sys/socket.ts'
import { type Benchmark, type Effort, figure, ratioText, type Result, settingsOf } from './benchmark.ts'
import { monotonicMs } from './clock.ts'
import type { DescriptorReport, Way } from './descriptors-process.ts'
import { forkReady, stop } from './processes.ts'
import { median, quantile, spread } from './stats.ts'

const sizes = {
  smoke: { rounds: 1, descriptors: 10, idleMs: 200, single: 30, bursts: 2 },
  full: { rounds: 5, descriptors: 100, idleMs: 4000, single: 1500, bursts: 60 },
}

type Settings = (typeof sizes)['full']

const ways: readonly (readonly [Way, title: string])[] = [
  ['watcher', 'one watcher'],
  ['reads', 'a blocked read for each'],
  ['polls', 'a poll of all each millisecond'],
]

const singlePauseMs = 2
const burstPauseMs = 20
const settleMs = 200
const AF_INET = 2
const SOCK_DGRAM_CLOEXEC = 0x80002

type Reports = { readonly idle: DescriptorReport; readonly single: DescriptorReport; readonly burst: DescriptorReport }

class Sender implements Disposable {
  readonly #fd = libc('socket', [AF_INET, SOCK_DGRAM_CLOEXEC, 0])

  send(port: number): void {
    const address = encodeSockaddr(Addr.parse('127.0.0.1'), port)
    libc('sendto', [this.#fd, new Float64Array([monotonicMs()]), 8, 0, address, address.length])
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd)
  }
}

async function ask<T>(child: ChildProcess, question: string): Promise<T> {
  child.send(question)
  const [answer] = (await once(child, 'message')) as [T]
  return answer
}

async function under(
  child: ChildProcess,
  load: (ports: readonly number[]) => Promise<unknown>,
): Promise<DescriptorReport> {
  await load(await ask<number[]>(child, 'begin'))
  return ask<DescriptorReport>(child, 'report')
}

/** A process that waits in that way, idle and under both loads. */
async function measure(way: Way, { descriptors, idleMs, single, bursts }: Settings): Promise<Reports> {
  // a blocked read needs a thread of the pool for itself; what the process does beside has those that a pool has anyway
  const env = { UV_THREADPOOL_SIZE: String(way === 'reads' ? descriptors + 4 : 4) }
  const child = await forkReady('descriptors-process.ts', [way, String(descriptors)], env)
  using sender = new Sender()
  try {
    await sleep(settleMs)
    const idle = await under(child, async () => sleep(idleMs))
    const one = await under(child, async (ports) => {
      for (let sent = 0; sent < single; sent++) {
        sender.send(ports[sent % ports.length]!)
        await sleep(singlePauseMs)
      }
      await sleep(settleMs)
    })
    const burst = await under(child, async (ports) => {
      for (let count = 0; count < bursts; count++) {
        for (const port of ports) sender.send(port)
        await sleep(burstPauseMs)
      }
      await sleep(settleMs)
    })
    return { idle, single: one, burst }
  } finally {
    await stop(child)
  }
}

function cpuUsPerEvent({ cpuMs, latenciesMs }: DescriptorReport): number {
  return (cpuMs * 1000) / latenciesMs.length
}

function idleShare({ idle }: Reports): number {
  return (100 * idle.cpuMs) / idle.wallMs
}

/** How a figure of the watcher stands to that of another way, round by round. */
function ratio(ours: readonly number[], theirs: readonly number[]): string {
  const ratios = ours.map((value, round) => value / theirs[round]!)
  return ratioText(median(ratios), spread(ratios))
}

const metrics = {
  'idle CPU, % of a core': idleShare,
  'CPU us, one at a time': ({ single }: Reports) => cpuUsPerEvent(single),
  'CPU us, all at once': ({ burst }: Reports) => cpuUsPerEvent(burst),
  'p50 us, one at a time': ({ single }: Reports) => 1000 * median(single.latenciesMs),
  'p99 us, one at a time': ({ single }: Reports) => 1000 * quantile(single.latenciesMs, 0.99),
  'p50 us, all at once': ({ burst }: Reports) => 1000 * median(burst.latenciesMs),
  'p99 us, all at once': ({ burst }: Reports) => 1000 * quantile(burst.latenciesMs, 0.99),
  threads: ({ burst }: Reports) => burst.threads,
  'memory MiB': ({ burst }: Reports) => burst.residentMiB,
} as const
type Metric = keyof typeof metrics

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const settings = settingsOf(sizes, effort)
  const { rounds, descriptors } = settings
  const reports = new Map<Way, Reports[]>(ways.map(([way]) => [way, []]))
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    for (const [way] of ways) reports.get(way)!.push(await measure(way, settings))
  }
  const samples = (way: Way, metric: Metric): number[] => reports.get(way)!.map(metrics[metric])
  const names = Object.keys(metrics) as Metric[]
  const rows = names.map((metric) => [
    metric,
    ...ways.map(([way]) => figure(median(samples(way, metric)))),
    ratio(samples('watcher', metric), samples('reads', metric)),
    ratio(samples('watcher', metric), samples('polls', metric)),
  ])
  const perEvent = median(samples('watcher', 'CPU us, one at a time'))
  const perRead = median(samples('reads', 'CPU us, one at a time'))
  const idle = median(samples('watcher', 'idle CPU, % of a core'))
  return {
    tables: [
      {
        title: `${descriptors} sockets, by the way in which a process waits for them`,
        columns: ['what', ...ways.map(([, title]) => title), 'watcher to reads', 'watcher to polls'],
        rows,
      },
    ],
    goals: [
      {
        text: 'one event at a time costs at most half as much again as with a blocked read',
        measured: `${figure(perEvent)} us, ${figure(perRead)} us`,
        isReached: perEvent <= 1.5 * perRead,
      },
      { text: 'idle below 0.1 % of a core', measured: `${figure(idle)} %`, isReached: idle < 0.1 },
    ],
    notes: [
      `${rounds} rounds, the ways in turn. UDP sockets on loopback, datagrams from another process: ${settings.single}, one every ${singlePauseMs} ms, and ${settings.bursts} times one to each, every ${burstPauseMs} ms.`,
      'CPU is all that the waiting process used, the pool’s threads and taking the datagram among it. Times run from sending until the datagram is taken on the event loop.',
    ],
    figures: Object.fromEntries(
      ways.flatMap(([way]) => names.map((metric) => [`${way}: ${metric}`, samples(way, metric)] as const)),
    ),
  }
}

export const descriptorsBenchmark: Benchmark = {
  name: 'descriptors',
  summary: 'waiting for a hundred file descriptors',
  run,
}
