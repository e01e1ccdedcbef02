const shownNames = 3

/** "node-1, node-2, node-3 and 17 more": a list that stays readable however many there are. */
export function someOf(names: readonly string[]): string {
  const more = names.length - shownNames
  // "and 1 more" is as long as the name itself
  return more > 1 ? `${names.slice(0, shownNames).join(', ')} and ${more} more` : names.join(', ')
}
