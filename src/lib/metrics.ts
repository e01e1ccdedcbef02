// Metrics in Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Pure: values are counted here, or
// asked for when somebody reads them.

export type Labels = Readonly<Record<string, string>>
/** One value of a metric. */
export type Sample = { readonly labels: Labels; readonly value: number }
type Kind = 'counter' | 'gauge' | 'histogram'

/** Gives the values of a metric at the moment of reading. */
export type Collect = () => Iterable<Sample> | Promise<Iterable<Sample>>

type Line = { readonly suffix: string; readonly labels: Labels; readonly value: number }
type Metric = {
  readonly name: string
  readonly help: string
  readonly kind: Kind
  readonly lines: () => Promise<Line[]>
}

function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** A counter of events since the process started. */
export class Counter {
  readonly #samples = new Map<string, { labels: Labels; value: number }>()

  add(labels: Labels, by = 1): void {
    const key = keyOf(labels)
    const sample = this.#samples.get(key)
    if (sample) sample.value += by
    else this.#samples.set(key, { labels, value: by })
  }

  get samples(): Sample[] {
    return [...this.#samples.values()]
  }
}

/** Counts how many values were at most each of the bounds. */
export class Histogram {
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, { labels: Labels; buckets: number[]; sum: number; count: number }>()

  /** `bounds` are upper bounds, ascending; one without a bound is added. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
  }

  observe(labels: Labels, value: number): void {
    const key = keyOf(labels)
    const series = this.#series.get(key) ?? { labels, buckets: this.#bounds.map(() => 0), sum: 0, count: 0 }
    this.#series.set(key, series)
    for (const [index, bound] of this.#bounds.entries()) if (value <= bound) series.buckets[index]!++
    series.sum += value
    series.count++
  }

  get lines(): Line[] {
    return [...this.#series.values()].flatMap(({ labels, buckets, sum, count }) => [
      ...this.#bounds.map((bound, index) => ({
        suffix: '_bucket',
        labels: { ...labels, le: String(bound) },
        value: buckets[index]!,
      })),
      { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: count },
      { suffix: '_sum', labels, value: sum },
      { suffix: '_count', labels, value: count },
    ])
  }
}

/** All metrics of a process. Names end in their unit, those of counters in _total (prometheus.io/docs/practices/naming). */
export class Registry {
  readonly #metrics: Metric[] = []

  counter(name: string, help: string): Counter {
    const counter = new Counter()
    this.#add(name, help, 'counter', () => counter.samples)
    return counter
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds)
    this.#metrics.push({ name, help, kind: 'histogram', lines: async () => histogram.lines })
    return histogram
  }

  /** A value that goes up and down, asked for at every reading. */
  gauge(name: string, help: string, collect: Collect): void {
    this.#add(name, help, 'gauge', collect)
  }

  /** A counter whose value is kept elsewhere, such as in the kernel. */
  counterFrom(name: string, help: string, collect: Collect): void {
    this.#add(name, help, 'counter', collect)
  }

  #add(name: string, help: string, kind: Kind, collect: Collect): void {
    const lines = async (): Promise<Line[]> => [...(await collect())].map((sample) => ({ suffix: '', ...sample }))
    this.#metrics.push({ name, help, kind, lines })
  }

  /** The names with their kinds and what they mean, for documentation. */
  get catalogue(): readonly { readonly name: string; readonly help: string; readonly kind: Kind }[] {
    return this.#metrics.map(({ name, help, kind }) => ({ name, help, kind }))
  }

  /** Renders all metrics. A metric whose values cannot be read is left out, so that the others are still shown. */
  async render(): Promise<string> {
    const texts: string[] = []
    for (const { name, help, kind, lines } of this.#metrics) {
      const found = await lines().catch(() => [])
      const values = found.map(
        ({ suffix, labels, value }) => `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`,
      )
      texts.push(
        `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${kind}\n`,
        ...values,
      )
    }
    return texts.join('')
  }
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels)
  if (entries.length === 0) return ''
  const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  return `{${entries.map(([key, value]) => `${key}="${escaped(value)}"`).join(',')}}`
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
