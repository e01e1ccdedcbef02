// The speaker under load, against BIRD, FRR and GoBGP: how fast routes come through, what they cost, how fast one change spreads.
import { type Benchmark, type Effort, figure, type Goal, type Result, type Size, type Table } from './benchmark.ts'
import { limitMs, type Outcome, runScenario, type Scenario } from './bgp-scenarios.ts'
import { speakerKinds } from './bgp-speakers.ts'
import { median } from './stats.ts'

const sizes: Readonly<Record<Size, readonly Scenario[]>> = {
  smoke: [
    {
      name: 'few',
      title: '2 neighbours with 50 prefixes each, to a third',
      senders: 2,
      each: 50,
      receivers: 'monitor',
      changes: 0,
      rounds: 1,
    },
    {
      name: 'mesh',
      title: '3 neighbours with 4 prefixes each, all to all',
      senders: 3,
      each: 4,
      receivers: 'senders',
      changes: 1,
      rounds: 1,
    },
    { name: 'sessions', title: '5 sessions', senders: 5, each: 0, receivers: 'senders', changes: 0, rounds: 1 },
  ],
  full: [
    {
      name: 'few',
      title: '10 neighbours with 10,000 prefixes each, to an eleventh',
      senders: 10,
      each: 10_000,
      receivers: 'monitor',
      changes: 0,
      rounds: 3,
    },
    {
      name: 'many',
      title: '10 neighbours with 100,000 prefixes each, to an eleventh',
      senders: 10,
      each: 100_000,
      receivers: 'monitor',
      changes: 0,
      rounds: 1,
    },
    {
      name: 'mesh',
      title: '450 neighbours with 4 prefixes each, all to all',
      senders: 450,
      each: 4,
      receivers: 'senders',
      changes: 10,
      rounds: 3,
    },
    { name: 'sessions', title: '1,000 sessions', senders: 1000, each: 0, receivers: 'senders', changes: 0, rounds: 3 },
  ],
}

/** Outcomes by scenario and speaker, one a round. */
type Outcomes = ReadonlyMap<Scenario, ReadonlyMap<string, readonly Outcome[]>>

async function measure(
  scenarios: readonly Scenario[],
  { rounds }: Effort,
  say: (line: string) => void,
): Promise<Outcomes> {
  const results = new Map<Scenario, Map<string, Outcome[]>>()
  for (const scenario of scenarios) {
    const bySpeaker = new Map(speakerKinds.map(({ name }) => [name, [] as Outcome[]]))
    results.set(scenario, bySpeaker)
    for (let round = 0; round < (rounds ?? scenario.rounds); round++) {
      for (const kind of speakerKinds) {
        const outcome = await runScenario(kind, scenario)
        bySpeaker.get(kind.name)!.push(outcome)
        const time = scenario.each === 0 ? outcome.establishMs : outcome.spreadMs
        say(
          `${scenario.name}: ${kind.name}: ${time === undefined ? 'not in time' : `${figure(time)} ms`}, ${figure(outcome.peakMiB)} MiB`,
        )
      }
    }
  }
  return results
}

/** The median of the rounds; undefined when one of them was not in time. */
function medianOf(outcomes: readonly Outcome[], pick: (outcome: Outcome) => number | undefined): number | undefined {
  const values = outcomes.map(pick)
  return values.every((value) => value !== undefined) ? median(values) : undefined
}

function seconds(valueMs: number | undefined): string {
  return valueMs === undefined ? `over ${limitMs / 1000}` : figure(valueMs / 1000)
}

const timeOf =
  ({ each }: Scenario) =>
  (outcome: Outcome): number | undefined =>
    each === 0 ? outcome.establishMs : outcome.spreadMs

function tableOf(scenario: Scenario, bySpeaker: ReadonlyMap<string, readonly Outcome[]>): Table {
  const ours = medianOf(bySpeaker.get(speakerKinds[0]!.name)!, timeOf(scenario))
  const rows = speakerKinds.map(({ name }) => {
    const outcomes = bySpeaker.get(name)!
    const time = medianOf(outcomes, timeOf(scenario))
    const cell = (pick: (outcome: Outcome) => number | undefined, scale = 1): string => {
      const value = medianOf(outcomes, pick)
      return value === undefined ? '' : figure(value / scale)
    }
    return [
      name,
      seconds(time),
      time === undefined || ours === undefined ? '' : (ours / time).toFixed(2),
      cell(({ speakerCpuMs }) => speakerCpuMs, 1000),
      cell(({ loadCpuMs }) => loadCpuMs, 1000),
      cell(({ peakMiB }) => peakMiB),
      ...(scenario.receivers === 'senders'
        ? []
        : [
            cell(
              ({ fullMiB, restMiB }) => (Math.max(0, fullMiB - restMiB) / (scenario.senders * scenario.each)) * 100_000,
            ),
          ]),
      ...(scenario.changes === 0
        ? []
        : [
            cell(({ changeMs }) => (changeMs.length === 0 ? undefined : median(changeMs))),
            cell(({ changeMs }) => (changeMs.length === 0 ? undefined : Math.max(...changeMs))),
          ]),
    ]
  })
  const columns = [
    'speaker',
    'seconds',
    'Causeway’s to it',
    'CPU s',
    'CPU s of the load',
    'peak MiB',
    ...(scenario.receivers === 'senders' ? [] : ['MiB per 100,000 routes']),
    ...(scenario.changes === 0 ? [] : ['one change, ms', 'longest']),
  ]
  return { title: scenario.title, columns, rows }
}

function goalsOf(results: Outcomes): Goal[] {
  const goals: Goal[] = []
  for (const [scenario, bySpeaker] of results) {
    const of = (name: string): readonly Outcome[] => bySpeaker.get(name)!
    const [ours, frr] = [medianOf(of('Causeway'), timeOf(scenario)), medianOf(of('FRR'), timeOf(scenario))]
    const peak = medianOf(of('Causeway'), ({ peakMiB }) => peakMiB)!
    if (scenario.name === 'few') {
      const isReached = ours !== undefined && frr !== undefined && ours < frr
      goals.push({
        text: `${scenario.title}: faster than FRR`,
        measured: `${seconds(ours)} s against ${seconds(frr)} s`,
        isReached,
      })
    }
    if (scenario.name === 'mesh') {
      const change = medianOf(of('Causeway'), ({ changeMs }) =>
        changeMs.length === 0 ? undefined : Math.max(...changeMs),
      )
      goals.push(
        {
          text: `${scenario.title}: at most 3 s`,
          measured: `${seconds(ours)} s`,
          isReached: ours !== undefined && ours <= 3000,
        },
        { text: `${scenario.title}: at most 150 MiB`, measured: `${figure(peak)} MiB`, isReached: peak <= 150 },
        {
          text: `one change to the last of them: at most 100 ms`,
          measured: change === undefined ? 'never' : `${figure(change)} ms`,
          isReached: change !== undefined && change <= 100,
        },
      )
    }
  }
  return goals
}

function figuresOf(results: Outcomes): Record<string, readonly number[]> {
  const figures: Record<string, readonly number[]> = {}
  for (const [scenario, bySpeaker] of results) {
    for (const [name, outcomes] of bySpeaker) {
      const key = `${scenario.name}/${name}`
      figures[`${key}/ms`] = outcomes.flatMap((outcome) => timeOf(scenario)(outcome) ?? [])
      figures[`${key}/peakMiB`] = outcomes.map(({ peakMiB }) => peakMiB)
      figures[`${key}/cpuMs`] = outcomes.map(({ speakerCpuMs }) => speakerCpuMs)
      figures[`${key}/loadCpuMs`] = outcomes.map(({ loadCpuMs }) => loadCpuMs)
      figures[`${key}/changeMs`] = outcomes.flatMap(({ changeMs }) => changeMs)
    }
  }
  return figures
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const results = await measure(sizes[effort.size], effort, say)
  return {
    tables: [...results].map(([scenario, bySpeaker]) => tableOf(scenario, bySpeaker)),
    goals: goalsOf(results),
    notes: [
      'Each neighbour is an external one with an AS of its own, IPv4 unicast, no policy but to take and give all. One AS path for each neighbour, 500 prefixes an UPDATE.',
      'Time runs from the first byte of the first announcement until the last receiver has the last prefix; of sessions, from the first connection until the last is established.',
      'All neighbours are one process on the same two cores; its CPU time stands beside the speaker’s. Memory is what the kernel says is resident.',
    ],
    figures: figuresOf(results),
  }
}

export const bgpBenchmark: Benchmark = {
  name: 'bgp',
  summary: 'routes through the BGP speaker, against BIRD, FRR and GoBGP',
  run,
}
