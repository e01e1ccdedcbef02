// Quantiles and ratios of measured samples. Pure.

/** The smallest sample that `fraction` of all samples do not exceed (nearest rank): always one that was measured. */
export function quantile(samples: readonly number[], fraction: number): number {
  if (samples.length === 0) throw new Error('a quantile of no samples')
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)]!
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5)
}

/** The ratio of each round: what was measured side by side is compared, not the machine's mood of another minute. */
export function roundRatios(ours: readonly (readonly number[])[], reference: readonly (readonly number[])[]): number[] {
  return ours.map((samples, round) => median(samples) / median(reference[round]!))
}

export function spread(values: readonly number[]): { readonly least: number; readonly most: number } {
  return { least: Math.min(...values), most: Math.max(...values) }
}
