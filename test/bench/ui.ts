// The page of `causeway ui` in Chromium, over simulated clusters: how soon it is there, what it takes to stay up to date, and what the command takes.
import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core'
import { type Benchmark, type Effort, figure, type Result, settingsOf } from './benchmark.ts'
import { forkReady, stop } from './processes.ts'
import { median } from './stats.ts'
import { answerCosts, answersTable } from './ui-agent.ts'
import type { UiReport } from './ui-process.ts'

const sizes = {
  smoke: { rounds: 1, nodes: [3], watchMs: 1_500, peers: 20, asks: 5 },
  full: { rounds: 5, nodes: [3, 200, 2000], watchMs: 12_000, peers: 1_000, asks: 40 },
}

/** Of a hundred nodes one changes each second. */
const changingShare = 0.01
const settleMs = 2_500
const mostMs = 30_000
const pageFolder = new URL('../../build/bundle/web/', import.meta.url)

type Sample = {
  readonly paintMs: number
  readonly shownMs: number
  readonly firstBytes: number
  readonly bytesPerSecond: number
  readonly busyShare: number
  readonly longestFrameMs: number
  readonly heapMiB: number
  readonly roundCpuMs: number
  readonly serverMiB: number
}

/** Bytes of all answers as they came, packed. */
class Wire {
  bytes = 0

  constructor(session: CDPSession) {
    session.on('Network.dataReceived', ({ encodedDataLength }) => (this.bytes += encodedDataLength))
  }

  /** What came since this was last asked. */
  take(): number {
    const { bytes } = this
    this.bytes = 0
    return bytes
  }
}

async function metric(session: CDPSession, name: string): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics')
  return metrics.find((each) => each.name === name)?.value ?? 0
}

/** The longest time between two frames while `during` goes on. */
async function longestFrame(page: Page, during: Promise<unknown>): Promise<number> {
  await page.evaluate(`(() => {
    let last = performance.now()
    window.longestFrame = 0
    const frame = (now) => {
      window.longestFrame = Math.max(window.longestFrame, now - last)
      last = now
      requestAnimationFrame(frame)
    }
    requestAnimationFrame((now) => { last = now; requestAnimationFrame(frame) })
  })()`)
  await during
  return await page.evaluate<number>('window.longestFrame')
}

/** Whether the rows of all nodes are there: the headline says how many nodes there are then, or what is wrong with some. */
const isShown = `document.querySelector('table, canvas, svg') !== null && !/not asked yet|Asking/.test(document.body.innerText)`
const lookMs = 20

async function untilShown(page: Page): Promise<void> {
  const untilMs = performance.now() + mostMs
  while (!(await page.evaluate<boolean>(isShown))) {
    if (performance.now() > untilMs) throw new Error(`the page does not show all nodes within ${mostMs / 1000} s`)
    await sleep(lookMs)
  }
}

async function report(server: ChildProcess): Promise<UiReport> {
  server.send('report')
  const [told] = (await once(server, 'message')) as [UiReport]
  return told
}

async function sampleIn(browser: Browser, server: ChildProcess, watchMs: number): Promise<Sample> {
  server.send('address')
  const [address] = (await once(server, 'message')) as [string]
  await using context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  const session = await context.newCDPSession(page)
  await session.send('Network.enable')
  await session.send('Performance.enable')
  const wire = new Wire(session)
  const startMs = performance.now()
  await page.goto(address)
  await untilShown(page)
  const shownMs = performance.now() - startMs
  const paintMs = await page.evaluate<number>(
    `performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0`,
  )
  await sleep(settleMs)
  const firstBytes = wire.take()
  await report(server)
  const busyBefore = await metric(session, 'TaskDuration')
  const watchedMs = performance.now()
  const longestFrameMs = await longestFrame(page, sleep(watchMs))
  const seconds = (performance.now() - watchedMs) / 1000
  const busyShare = ((await metric(session, 'TaskDuration')) - busyBefore) / seconds
  const bytesPerSecond = wire.take() / seconds
  const { cpuMs, rounds, residentMiB, simulationMs } = await report(server)
  await session.send('HeapProfiler.collectGarbage')
  const heapMiB = (await metric(session, 'JSHeapUsedSize')) / (1 << 20)
  return {
    paintMs,
    shownMs,
    firstBytes,
    bytesPerSecond,
    busyShare,
    longestFrameMs,
    heapMiB,
    roundCpuMs: Math.max(0, cpuMs / Math.max(1, rounds) - simulationMs),
    serverMiB: residentMiB,
  }
}

async function samplesAt(
  browser: Browser,
  nodes: number,
  { rounds, watchMs }: { readonly rounds: number; readonly watchMs: number },
  say: (line: string) => void,
): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`${nodes} nodes, round ${round} of ${rounds}`)
    const changing = Math.ceil(nodes * changingShare)
    const server = await forkReady('ui-process.ts', [String(nodes), String(changing)])
    try {
      samples.push(await sampleIn(browser, server, watchMs))
    } finally {
      await stop(server)
    }
  }
  return samples
}

/** The files of the page as they are sent. */
function pageBytes(): number {
  return readdirSync(pageFolder).reduce(
    (all, name) => all + gzipSync(readFileSync(new URL(name, pageFolder))).length,
    0,
  )
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { nodes: counts, ...settings } = settingsOf(sizes, effort)
  say(`an agent with ${settings.peers} nodes is asked`)
  const costs = await answerCosts(settings)
  const samples = new Map<number, Sample[]>()
  // root has no sandbox, and containers have little shared memory
  const args = ['--no-sandbox', '--disable-dev-shm-usage']
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args })
  try {
    for (const nodes of counts) samples.set(nodes, await samplesAt(browser, nodes, settings, say))
  } finally {
    await browser.close()
  }
  const most = Math.max(...counts)
  const of = (nodes: number, name: keyof Sample): number => median(samples.get(nodes)!.map((each) => each[name]))
  const kB = (bytes: number): string => figure(bytes / 1000)
  const ownBytes = pageBytes()
  return {
    tables: [
      {
        title: 'the page, of a cluster of which one node in a hundred changes each second',
        columns: [
          'nodes',
          'first paint, ms',
          'all nodes shown, ms',
          'bytes until then, kB',
          'then, kB/s',
          'main thread busy, %',
          'longest frame, ms',
          'heap, MiB',
        ],
        rows: counts.map((nodes) => [
          String(nodes),
          figure(of(nodes, 'paintMs')),
          figure(of(nodes, 'shownMs')),
          kB(of(nodes, 'firstBytes')),
          kB(of(nodes, 'bytesPerSecond')),
          figure(of(nodes, 'busyShare') * 100),
          figure(of(nodes, 'longestFrameMs')),
          figure(of(nodes, 'heapMiB')),
        ]),
      },
      {
        title: 'the command, with one page open',
        columns: ['nodes', 'CPU of a round, ms', 'resident, MiB'],
        rows: counts.map((nodes) => [String(nodes), figure(of(nodes, 'roundCpuMs')), figure(of(nodes, 'serverMiB'))]),
      },
      answersTable(costs),
    ],
    goals: [
      { text: "the page's own files, packed", measured: `${kB(ownBytes)} kB`, isReached: ownBytes < 60_000 },
      {
        text: `${most} nodes shown within 3 s`,
        measured: `${figure(of(most, 'shownMs') / 1000)} s`,
        isReached: of(most, 'shownMs') < 3_000,
      },
      {
        text: `${most} nodes: no frame longer than 200 ms`,
        measured: `${figure(of(most, 'longestFrameMs'))} ms`,
        isReached: of(most, 'longestFrameMs') < 200,
      },
      {
        text: `${most} nodes: the page holds less than 100 MiB`,
        measured: `${figure(of(most, 'heapMiB'))} MiB`,
        isReached: of(most, 'heapMiB') < 100,
      },
    ],
    notes: [
      `Medians of ${settings.rounds} rounds, each with a server and a tab of its own; a page is watched for ${settings.watchMs / 1000} s after it has settled. Agents are simulated in the server's process: making their answers is subtracted from the CPU of a round, reading and comparing them is not. Headless Chromium without a graphics card: what it draws, it draws with the CPU, on the same cores. Round trips of all pairs differ each time, as real ones do.`,
    ],
    figures: {
      'summary: CPU ms of an answer': costs.summary.map(({ cpuMs }) => cpuMs),
      'status: CPU ms of an answer': costs.status.map(({ cpuMs }) => cpuMs),
      ...Object.fromEntries(
        counts.flatMap((nodes) =>
          (
            [
              'paintMs',
              'shownMs',
              'firstBytes',
              'bytesPerSecond',
              'busyShare',
              'longestFrameMs',
              'heapMiB',
              'roundCpuMs',
              'serverMiB',
            ] as const
          ).map((name) => [`${nodes} nodes: ${name}`, samples.get(nodes)!.map((each) => each[name])] as const),
        ),
      ),
    },
  }
}

export const uiBenchmark: Benchmark = {
  name: 'ui',
  summary: 'the page of causeway ui, and the command that serves it',
  run,
}
