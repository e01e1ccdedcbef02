// Measures from outside how long an agent's event loop stands still: asks its socket something trivial every few
// milliseconds, as a process of its own. What it sees is the stall and its own delays; an idle agent shows the latter.
// Any message asks for the report of the answers since the last one; the process ends with its parent.
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from './clock.ts'
import { quantile } from './stats.ts'

export type StallReport = {
  readonly answers: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly longestMs: number
}

const pauseMs = 4
const socketPath = process.argv[2] ?? ''
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
let latencies: number[] = []

async function ask(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const call = request({ socketPath, path: '/healthz', agent }, (response) => {
    response.resume()
    response.on('end', resolve)
    response.on('error', reject)
  })
  call.on('error', reject)
  call.end()
  await promise
}

async function tell(): Promise<void> {
  // asked before the first answer
  while (latencies.length === 0) await sleep(pauseMs)
  const report = latencies
  latencies = []
  process.send!({
    answers: report.length,
    p50Ms: quantile(report, 0.5),
    p99Ms: quantile(report, 0.99),
    longestMs: Math.max(...report),
  } satisfies StallReport)
}

process.on('message', () => void tell())
process.on('disconnect', () => process.exit())
await ask()
process.send!('ready')
for (;;) {
  const askedMs = monotonicMs()
  await ask()
  latencies.push(monotonicMs() - askedMs)
  await sleep(pauseMs)
}
