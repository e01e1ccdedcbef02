// Long work in steps, between which others may have a turn (src/kernel/turns.ts).

/** Takes all steps at once. */
export function resultOf<T>(steps: Generator<void, T, void>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}
