// npm run test:fuzz -- [RUNS [SEED]]: so many runs of each program, one million unless said otherwise, with a seed that is printed.
import { programNames } from '#/wire/bpf/maps.ts'
import { Difference, Fuzzer } from './fuzzer.ts'

const runs = Number(process.argv[2] ?? 1_000_000)
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32)
if (!(Number.isSafeInteger(runs) && runs > 0 && Number.isSafeInteger(seed) && seed >= 0)) {
  console.error('fuzz: expected how many runs of each program, then a seed: two whole numbers')
  process.exit(2)
}
console.log(`seed ${seed}`)
try {
  for (const program of programNames) {
    using fuzzer = await Fuzzer.make(seed)
    const began = performance.now()
    fuzzer.run(program, runs)
    const seconds = (performance.now() - began) / 1000
    console.log(
      `${program}: ${runs} runs in ${seconds.toFixed(1)} s, ${Math.round(runs / seconds)} a second, as expected:`,
    )
    for (const [outcome, count] of [...fuzzer.outcomes].sort(([, a], [, b]) => b - a))
      console.log(`  ${count} ${outcome}`)
  }
} catch (error) {
  if (!(error instanceof Difference)) throw error
  console.error(error.message)
  process.exit(1)
}
