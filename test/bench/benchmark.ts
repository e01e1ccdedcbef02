// What a benchmark is, and what it gives. The table of all of them is in main.ts.

/** 'smoke' is the least that shows that a benchmark works; its figures mean nothing. */
export type Size = 'smoke' | 'full'

/** `rounds`: instead of the size's own number. */
export type Effort = { readonly size: Size; readonly rounds?: number }

/** What a benchmark does at this effort. */
export function settingsOf<T extends object>(sizes: Readonly<Record<Size, T>>, { size, rounds }: Effort): T {
  return { ...sizes[size], ...(rounds !== undefined && { rounds }) }
}

export type Table = {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export type Goal = {
  readonly text: string
  readonly measured: string
  readonly isReached: boolean
}

export type Result = {
  readonly tables: readonly Table[]
  readonly goals: readonly Goal[]
  /** What it needs to be understood: rounds, samples, how things were pinned. */
  readonly notes: readonly string[]
  /** The figures themselves, for programs: name -> samples or value. */
  readonly figures: Readonly<Record<string, number | readonly number[]>>
}

export type Benchmark = {
  readonly name: string
  readonly summary: string
  /** `say` tells progress, a line at a time. */
  readonly run: (effort: Effort, say: (line: string) => void) => Promise<Result>
}

/** Three significant digits, and thousands as such: 0.613, 3.42, 27.5, 39,300. */
export function figure(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** Ratios that spread over rounds: "0.21 (0.19 to 0.24)". */
export function ratioText(value: number, { least, most }: { least: number; most: number }): string {
  return `${value.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`
}
