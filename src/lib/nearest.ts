// What somebody may have meant by a word that is not known: the known word that the fewest slips of the hand lead to.

/**
 * Optimal string alignment distance: how many characters to insert, delete, replace, or swap with their neighbour, to get from one
 * word to the other.
 */
function distance(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1]
      let least = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (isSame ? 0 : 1))
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (isSwap) least = Math.min(least, beforeLast[column - 2]! + 1)
      current.push(least)
    }
    beforeLast = last
    last = current
  }
  return last[to.length]!
}

/**
 * The known word that is most like `word`, whatever the case of its letters; the first of several that are equally like it.
 * undefined when more than a third of the letters differ: a guess would then mislead.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase()
  let best: string | undefined
  let leastDistance = Infinity
  for (const candidate of known) {
    const slips = distance(lower, candidate.toLowerCase())
    const mostSlips = Math.max(lower.length, candidate.length) / 3
    if (slips > mostSlips || slips >= leastDistance) continue
    best = candidate
    leastDistance = slips
  }
  return best
}
