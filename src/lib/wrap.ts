// Text in lines of a given width.

/** Pieces of at most `width` characters, broken between words; a longer word is broken anywhere. */
export function wrapWords(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (longer.length <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    line = word
    while (line.length > width) {
      lines.push(line.slice(0, width))
      line = line.slice(width)
    }
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line]
}

/** The column at which a line's description begins, if two or more spaces stand before it; else the column where the text begins. */
function hangOf(line: string): number {
  const indent = line.length - line.trimStart().length
  const columns = [...line.matchAll(/\S( {2,})(?=\S)/g)]
  const column = columns.find(({ index, 0: gap }) => index + gap.length <= 48)
  return column === undefined ? indent : column.index + column[0].length
}

/**
 * Lines longer than `width` go on in the next line, below their description if they have one in a column of its own.
 * Lines that fit stay as they are. An infinite width changes nothing.
 */
export function wrapText(text: string, width: number): string {
  return text
    .split('\n')
    .flatMap((line) => {
      if (line.length <= width) return [line]
      const hang = Math.min(hangOf(line), Math.floor(width / 2))
      const [first = '', ...rest] = wrapWords(line.slice(hang), width - hang)
      return [line.slice(0, hang) + first, ...rest.map((each) => ' '.repeat(hang) + each)]
    })
    .join('\n')
}
