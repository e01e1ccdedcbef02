// A table as plain text, as commands print it: in its natural width where there is room, else folded to the room there is.
import { stripVTControlCharacters } from 'node:util'

const gap = '  '
const indent = '    '

export type TableOptions = {
  /** The room there is; without limit when not given. */
  readonly columns?: number
  /**
   * The last column holds free text, such as reasons. Where there is no room for it, its cells are numbers in brackets, and each
   * different text stands once below the table.
   */
  readonly hasNotes?: boolean
}

/** Not Math.max(...): a table may have more rows than a call takes arguments. */
function largest(numbers: readonly number[]): number {
  return numbers.reduce((most, each) => Math.max(most, each), 0)
}

/** Most text has no colour codes, and a table may be long. */
function lineWidth(line: string): number {
  return line.includes('\u001B') ? stripVTControlCharacters(line).length : line.length
}

/** How many columns of a terminal the text takes: those of its longest line. Colour codes take none. */
export function textWidth(text: string): number {
  return largest(text.split('\n').map(lineWidth))
}

/** Breaks a line at spaces; `columns` is exceeded only by what has no space in it. Later lines begin with `start`. */
export function wrap(line: string, columns: number, start: string = indent): string {
  if (textWidth(line) <= columns) return line
  const lines = ['']
  for (const word of line.split(' ')) {
    const last = lines.at(-1)!
    const longer = last === '' ? word : `${last} ${word}`
    if (last === '' || textWidth(longer) <= columns) lines[lines.length - 1] = longer
    else lines.push(start + word)
  }
  return lines.join('\n')
}

function longestWord(cells: readonly string[]): number {
  return largest(cells.flatMap((cell) => cell.split(' ').map(textWidth)))
}

function sum(widths: readonly number[]): number {
  return widths.reduce((total, width) => total + width, 0) + gap.length * Math.max(0, widths.length - 1)
}

function columnOf(lines: readonly (readonly string[])[], column: number): string[] {
  return lines.map((cells) => cells[column] ?? '')
}

/** A line of the table, as several where a cell is wider than its column. */
function lineOf(cells: readonly string[], widths: readonly number[]): string {
  const wrapped = cells.map((cell, column) => wrap(cell, widths[column]!, '').split('\n'))
  const height = Math.max(1, ...wrapped.map(({ length }) => length))
  const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - textWidth(text)))
  return Array.from({ length: height }, (_, row) =>
    widths
      .map((width, column) => pad(wrapped[column]?.[row] ?? '', width))
      .join(gap)
      .trimEnd(),
  ).join('\n')
}

/** The widths of columns that together fit, taken from the widest first; none gets narrower than its longest word. */
function narrowed(widths: readonly number[], minima: readonly number[], columns: number): number[] {
  const result = [...widths]
  while (sum(result) > columns) {
    const [widest] = result
      .map((width, column) => ({ width, column }))
      .filter(({ width, column }) => width > minima[column]!)
      .toSorted((a, b) => b.width - a.width)
    if (widest === undefined) return result
    result[widest.column]! -= 1
  }
  return result
}

type Content = { readonly header: readonly string[]; readonly rows: readonly (readonly string[])[] }

/** Every different text of the last column is a numbered note; the column goes when there is none. */
function withNotes({ header, rows }: Content): Content & { readonly notes: readonly string[] } {
  const last = header.length - 1
  const notes = [...new Set(columnOf(rows, last))].filter((text) => text !== '')
  const marks = new Map(notes.map((text, index) => [text, `[${index + 1}]`]))
  if (notes.length === 0) return { header: header.slice(0, last), rows: rows.map((row) => row.slice(0, last)), notes }
  const marked = rows.map((row) => [...row.slice(0, last), marks.get(row[last] ?? '') ?? ''])
  return { header, rows: marked, notes }
}

/** Columns that do not fit even when cells are wrapped go under their row, with their names, those on the right first. */
function fold({ header, rows }: Content, columns: number, keepsLast: boolean): string[] {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => largest(columnOf(lines, column).map(textWidth)))
  const minima = header.map((_, column) => longestWord(columnOf(lines, column)))
  const kept = header.map((_, column) => column)
  const below: number[] = []
  const pick = (values: readonly number[]): number[] => kept.map((column) => values[column]!)
  while (sum(pick(minima)) > columns && kept.length > (keepsLast ? 2 : 1))
    below.unshift(...kept.splice(keepsLast ? -2 : -1, 1))
  const fitting = narrowed(pick(widths), pick(minima), columns)
  const cellsOf = (cells: readonly string[]): string[] => kept.map((column) => cells[column] ?? '')
  const under = (cells: readonly string[]): string[] => {
    const texts = below.flatMap((column) => (cells[column] ? [`${header[column]} ${cells[column]}`] : []))
    return texts.length === 0 ? [] : [wrap(texts.join(', '), columns - indent.length, '').replaceAll(/^/gm, indent)]
  }
  return [
    lineOf(cellsOf(header), fitting),
    ...rows.flatMap((cells) => [lineOf(cellsOf(cells), fitting), ...under(cells)]),
  ]
}

/**
 * Lines of left-aligned columns, two spaces between them, no spaces at the ends. Colour codes take no room. A table wider than
 * `columns` is folded: notes go below it, cells are wrapped at spaces, and at last columns go under their row.
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { columns = Infinity, hasNotes = false }: TableOptions = {},
): string {
  const natural = fold({ header, rows }, Infinity, false)
  if (textWidth(natural.join('\n')) <= columns) return natural.join('\n')
  if (!hasNotes) return fold({ header, rows }, columns, false).join('\n')
  const { notes, ...marked } = withNotes({ header, rows })
  return [...fold(marked, columns, true), ...notes.map((text, index) => wrap(`[${index + 1}] ${text}`, columns))].join(
    '\n',
  )
}
