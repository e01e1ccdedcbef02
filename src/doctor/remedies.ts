// Remedies of several objects of one cause as one text. Pure.

const mostTold = 3

/** Commands differ in the family of their addresses, and in these. */
const plain = (text: string): string =>
  text
    .replaceAll(/\b(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:]+)(?:\/\d+)?/g, '*')
    .replaceAll(' -6 ', ' ')
    .replaceAll('ip6', 'ip')
    .replaceAll(/\d+/g, '#')

/** The command behind the last colon of a sentence. */
function commandIn(text: string): string | undefined {
  return /: ((?:ip|nft|sysctl|ethtool|ip6?tables(?:-legacy)?|tc|bpftool) [^;]+)/.exec(text)?.[1]?.trim()
}

/** Where texts differ in their commands alone, the first with the commands of the others. */
export function joinedRemedies(texts: readonly string[]): string {
  const groups = [...Map.groupBy(new Set(texts), plain).values()]
  return groups
    .slice(0, mostTold)
    .map(([first, ...others]) => {
      const commands = [...new Set(others.flatMap((each) => commandIn(each) ?? []))]
      return commands.length === 0
        ? first!
        : `${first}; for the others alike: ${commands.slice(0, mostTold).join('; ')}`
    })
    .join('; ')
}
