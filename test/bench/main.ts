// `npm run bench`: performance as ratios against a reference that ran in the same minutes on the same machine.
// Usage: main.ts [--size smoke|full] [--rounds N] [--json FILE] [--write] [NAME]...   (default: all benchmarks, full size)
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { messageOf } from '#/lib/log.ts'
import { type Benchmark, type Effort, type Result, type Size } from './benchmark.ts'
import { bgpBenchmark } from './bgp.ts'
import { connectivityBenchmark } from './connectivity.ts'
import { controllerBenchmark } from './controller.ts'
import { costsBenchmark } from './costs.ts'
import { datapathBenchmark } from './datapath.ts'
import { descriptorsBenchmark } from './descriptors.ts'
import { doctorBenchmark } from './doctor.ts'
import { failoverBenchmark } from './failover.ts'
import { nodesBenchmark } from './nodes.ts'
import { podsBenchmark } from './pods.ts'
import { policyBenchmark } from './policy.ts'
import { policyIndexBenchmark } from './policy-index.ts'
import { probingBenchmark } from './probing.ts'
import { machine, markdownOf, textOf, withSection } from './report.ts'
import { endAll } from './rig.ts'
import { traceBenchmark } from './trace.ts'
import { uiBenchmark } from './ui.ts'

const benchmarks: readonly Benchmark[] = [
  podsBenchmark,
  datapathBenchmark,
  policyBenchmark,
  bgpBenchmark,
  failoverBenchmark,
  nodesBenchmark,
  controllerBenchmark,
  descriptorsBenchmark,
  costsBenchmark,
  policyIndexBenchmark,
  traceBenchmark,
  doctorBenchmark,
  connectivityBenchmark,
  probingBenchmark,
  uiBenchmark,
]
const page = new URL('../../docs/benchmarks.md', import.meta.url)

const { values, positionals } = parseArgs({
  options: {
    size: { type: 'string', default: 'full' },
    rounds: { type: 'string' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})

function isSize(text: string): text is Size {
  return text === 'smoke' || text === 'full'
}

function wrongUse(): string | undefined {
  if (!isSize(values.size)) return `--size "${values.size}": expected smoke or full`
  if (values.rounds !== undefined && !/^[1-9]\d{0,2}$/.test(values.rounds))
    return `--rounds "${values.rounds}": expected 1 to 999`
  if (values.write && values.size !== 'full') return '--write: only figures of full size are published'
  const unknown = positionals.find((name) => !benchmarks.some((benchmark) => benchmark.name === name))
  if (unknown === undefined) return undefined
  return `there is no benchmark "${unknown}"; there are ${benchmarks.map(({ name, summary }) => `${name} (${summary})`).join(', ')}`
}

async function runAll(effort: Effort): Promise<void> {
  const wanted = benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  const results: Record<string, Result> = {}
  for (const { name, run } of wanted) {
    const result = await run(effort, (line) => process.stderr.write(`${name}: ${line}\n`))
    results[name] = result
    console.log(`\n${textOf(name, result)}`)
    if (values.write) {
      const date = new Date().toISOString().slice(0, 10)
      writeFileSync(page, withSection(readFileSync(page, 'utf8'), name, markdownOf(name, result, date)))
    }
  }
  if (values.json)
    writeFileSync(values.json, `${JSON.stringify({ machine: machine(), ...effort, results }, undefined, 2)}\n`)
}

const problem = wrongUse()
if (problem !== undefined) {
  console.error(`bench: ${problem}`)
  process.exit(2)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    process.stderr.write(`bench: ${signal}, cleaning up\n`)
    void endAll().finally(() => process.exit(130))
  })
}
try {
  await runAll({ size: values.size as Size, ...(values.rounds && { rounds: Number(values.rounds) }) })
} catch (error) {
  console.error(`bench: ${messageOf(error)}`)
  process.exitCode = 1
}
