// Terms and their meanings, as a command's help shows them: terms in a column, texts beside them, broken into lines.

/** Lines of at most `width` characters, unless one word alone is longer. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line === '') line = word
    else if (line.length + 1 + word.length <= width) line += ` ${word}`
    else {
      lines.push(line)
      line = word
    }
  }
  return [...lines, line]
}

/**
 * Lines of at most 80 characters, as terminals have them, two spaces before each term. A term that is longer than `termWidth` has a
 * line of its own.
 */
export function definitionList(rows: readonly (readonly [term: string, text: string])[], termWidth: number): string {
  const width = 80
  const indent = ' '.repeat(2 + termWidth + 2)
  return rows
    .flatMap(([term, text]) => {
      const lines = wrap(text, width - indent.length)
      if (term.length > termWidth) return [`  ${term}`, ...lines.map((line) => `${indent}${line}`)]
      return lines.map((line, index) => `${index === 0 ? `  ${term.padEnd(termWidth)}  ` : indent}${line}`)
    })
    .join('\n')
}
