// One clock for all processes of a run: CLOCK_MONOTONIC, so that times taken in different processes can be subtracted.

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
