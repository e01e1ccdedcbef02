// The name that a mistyped one most likely stands for.

/** How many letters have to be added, left out, changed or swapped with their neighbour to make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}

/** The one of `names` that is most like `text`; undefined when none is. A third of the letters may differ. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const wanted = text.toLowerCase()
  const close = names
    .map((name) => ({ name, distance: editDistance(wanted, name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(Math.max(name.length, wanted.length) / 3)))
    .toSorted((a, b) => a.distance - b.distance)
  const [best] = close
  if (best !== undefined) return best.name
  // text with which only one of the names begins counts as that name
  const begun = names.filter((name) => wanted.length > 1 && name.toLowerCase().startsWith(wanted))
  return begun.length === 1 ? begun[0] : undefined
}

/** `; did you mean NAME?`, or nothing. For the end of an error message. */
export function didYouMean(text: string, names: readonly string[]): string {
  const name = nearest(text, names)
  return name === undefined ? '' : `; did you mean ${name}?`
}
