// Arrow keys within a group of which Tab reaches one: the pattern for grids of the ARIA practices guide.

const steps: Readonly<Record<string, readonly [rows: number, columns: number]>> = {
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
}

/** Where a key leads to in a table of this size; undefined: it has no meaning there. */
export function moved(
  key: string,
  [row, column]: readonly [number, number],
  [rows, columns]: readonly [number, number],
) {
  const step = steps[key]
  if (step === undefined) return undefined
  const within = (value: number, count: number): number => Math.max(0, Math.min(count - 1, value))
  return [within(row + step[0], rows), within(column + step[1], columns)] as const
}

/** For a flow of elements of one size: where a key leads to, by where they stand. */
export function movedInFlow(key: string, own: HTMLElement, all: readonly HTMLElement[]): HTMLElement | undefined {
  const at = all.indexOf(own)
  const ends: Readonly<Record<string, number>> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }
  if (key in ends) return all[ends[key]!]
  if (key !== 'ArrowDown' && key !== 'ArrowUp') return undefined
  const sign = key === 'ArrowDown' ? 1 : -1
  const { left, top } = own.getBoundingClientRect()
  let best: { readonly element: HTMLElement; readonly distance: number } | undefined
  for (const element of all) {
    const box = element.getBoundingClientRect()
    const down = (box.top - top) * sign
    // the nearest row counts first
    const distance = down * 1000 + Math.abs(box.left - left)
    if (down > 1 && (best === undefined || distance < best.distance)) best = { element, distance }
  }
  return best?.element
}
