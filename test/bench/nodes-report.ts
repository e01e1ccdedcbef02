// The measurements of the benchmark `nodes` as tables, goals and figures. Pure.
import { figure, type Goal, ratioText, type Result, type Table } from './benchmark.ts'
import { type Burst, fewNodes, type Idle, type Life } from './node-arrivals.ts'
import { median, quantile, roundRatios, spread } from './stats.ts'
import type { StallReport } from './stall-process.ts'

const goals = { arrivalP99Ms: 50, stallMs: 20, fewMiB: 80, manyMiB: 150 } as const

export function burstTable(results: readonly Burst[]): Table {
  return {
    title: 'Nodes arriving at once: until the last route is in the kernel, ms',
    columns: ['nodes', 'Causeway p50', 'least to most', 'batch p50', 'least to most', 'ratio (of rounds)'],
    rows: results.map(({ nodes, ours, reference }) => [
      nodes.toLocaleString('en-US'),
      ...[ours, reference].flatMap((samples) => {
        const { least, most } = spread(samples)
        return [figure(median(samples)), `${figure(least)} to ${figure(most)}`]
      }),
      ratioText(
        median(ours) / median(reference),
        spread(
          roundRatios(
            ours.map((each) => [each]),
            reference.map((each) => [each]),
          ),
        ),
      ),
    ]),
  }
}

export function arrivalTable({ arrivals }: Life, many: number): Table {
  const row = (what: string, samples: readonly number[]): string[] => [
    what,
    ...[0.5, 0.99, 1].map((fraction) => figure(quantile(samples, fraction))),
  ]
  return {
    title: `One node arriving into ${many.toLocaleString('en-US')}: until its route is in the kernel, ms`,
    columns: ['measured from', 'p50', 'p99', 'longest'],
    rows: [
      row("the API's answer to the create", arrivals.afterAnswerMs),
      row('the create request itself', arrivals.afterRequestMs),
    ],
  }
}

export function stallTable({ stalls, addMs }: Life, many: string): Table {
  const row = (what: string, { p50Ms, p99Ms, longestMs }: StallReport, added: readonly number[] = []): string[] => [
    what,
    ...[p50Ms, p99Ms, longestMs].map(figure),
    ...(added.length === 0 ? ['', ''] : [0.5, 0.99].map((fraction) => figure(quantile(added, fraction)))),
  ]
  return {
    title: 'The agent meanwhile: answers on its socket, and CNI ADD, ms',
    columns: ['while', 'answer p50', 'p99', 'longest', 'ADD p50', 'p99'],
    rows: [
      row(`idle, ${fewNodes} nodes`, stalls.few, addMs.few),
      row(`idle, ${many} nodes`, stalls.many, addMs.many),
      row(`${many} nodes arrive at once`, stalls.burst, addMs.burst),
      row('nodes arrive one by one', stalls.arrivals),
    ],
  }
}

export function memoryTable({ few, many, restarted }: Life, count: string): Table {
  const row = (what: string, { use, cpuPercent }: Idle): string[] => [
    what,
    ...[use.residentMiB, use.peakResidentMiB].map(figure),
    cpuPercent.toFixed(2),
  ]
  return {
    title: 'The agent at rest',
    columns: ['agent', 'memory (VmRSS), MiB', 'peak (VmHWM), MiB', 'CPU, % of a core'],
    rows: [
      row(`${fewNodes} nodes`, few),
      row(`${count} nodes, which arrived`, many),
      row(`${count} nodes, started with them`, restarted),
    ],
  }
}

export function goalsOf(
  results: readonly Burst[],
  { arrivals, stalls, few, many, restarted, addMs }: Life,
  count: string,
): Goal[] {
  const p99 = quantile(arrivals.afterAnswerMs, 0.99)
  const peak = Math.max(many.use.residentMiB, restarted.use.residentMiB)
  const longest = Math.max(stalls.burst.longestMs, stalls.arrivals.longestMs)
  const [addBefore, addMeanwhile] = [addMs.few, addMs.burst].map((samples) => quantile(samples, 0.99))
  return [
    ...results.map(({ nodes, ours, reference }) => ({
      text: `${nodes.toLocaleString('en-US')} nodes at once faster than the batch`,
      measured: `ratio ${(median(ours) / median(reference)).toFixed(2)}`,
      isReached: median(ours) < median(reference),
    })),
    {
      text: `one node arriving into ${count}: p99 at most ${goals.arrivalP99Ms} ms`,
      measured: `${figure(p99)} ms`,
      isReached: p99 <= goals.arrivalP99Ms,
    },
    {
      text: `no stall of ${goals.stallMs} ms or longer`,
      measured: `${figure(longest)} ms`,
      isReached: longest < goals.stallMs,
    },
    {
      text: 'ADD p99 while nodes arrive no worse than while idle (within a half)',
      measured: `${figure(addMeanwhile!)} ms, idle ${figure(addBefore!)} ms`,
      isReached: addMeanwhile! <= addBefore! * 1.5,
    },
    {
      text: `memory at ${fewNodes} nodes at most ${goals.fewMiB} MiB`,
      measured: `${figure(few.use.residentMiB)} MiB`,
      isReached: few.use.residentMiB <= goals.fewMiB,
    },
    {
      text: `memory at ${count} nodes at most ${goals.manyMiB} MiB`,
      measured: `${figure(peak)} MiB`,
      isReached: peak <= goals.manyMiB,
    },
  ]
}

/** Every sample, for programs. */
export function figuresOf(results: readonly Burst[], life: Life): Result['figures'] {
  return {
    ...Object.fromEntries(
      results.flatMap(({ nodes, ours, reference }) => [
        [`causeway ${nodes} at once ms`, ours],
        [`batch ${nodes} at once ms`, reference],
      ]),
    ),
    'one arrival after answer ms': life.arrivals.afterAnswerMs,
    'one arrival after request ms': life.arrivals.afterRequestMs,
    'longest answer burst ms': life.stalls.burst.longestMs,
    'longest answer arrivals ms': life.stalls.arrivals.longestMs,
    'longest answer idle ms': life.stalls.many.longestMs,
    'ADD idle ms': life.addMs.few,
    'ADD burst ms': life.addMs.burst,
    'ADD idle many ms': life.addMs.many,
    'memory few MiB': life.few.use.residentMiB,
    'memory many MiB': life.many.use.residentMiB,
    'memory restarted MiB': life.restarted.use.residentMiB,
    'idle CPU few %': life.few.cpuPercent,
    'idle CPU many %': life.many.cpuPercent,
  }
}
