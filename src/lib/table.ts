// A table as plain text, as commands print it, within the width of a terminal.
import { stripVTControlCharacters } from 'node:util'
import { wrapWords } from './wrap.ts'

const narrowestColumn = 6
/** A text that at least this many rows share is printed once. */
const sharedBy = 3
const labelsShown = 2

export type TableOptions = {
  /** Columns of the terminal; without it, lines are as long as they need to be. */
  readonly width?: number
  /**
   * The last column is free text. Where it does not fit, or has several lines, it goes below the table; each text then begins
   * with the cells of these columns, and one that many rows share is said once.
   */
  readonly labelledBy?: readonly number[]
}

type Cells = readonly string[]

export function widthOf(cell: string): number {
  return stripVTControlCharacters(cell).length
}

function widthsOf(lines: readonly Cells[], columns: number): number[] {
  const widths = Array.from({ length: columns }, () => 0)
  for (const cells of lines)
    for (const [column, width] of widths.entries()) widths[column] = Math.max(width, widthOf(cells[column] ?? ''))
  return widths
}

function totalOf(widths: readonly number[], gap: number): number {
  return widths.reduce((sum, each) => sum + each, 0) + gap * Math.max(0, widths.length - 1)
}

/** Takes from the widest columns until all fit, or all are as narrow as they may be. */
function narrowed(widths: readonly number[], gap: number, width: number): number[] {
  const narrow = [...widths]
  while (totalOf(narrow, gap) > width) {
    const widest = narrow.indexOf(Math.max(...narrow))
    if (narrow[widest]! <= narrowestColumn) break
    narrow[widest]!--
  }
  return narrow
}

function renderLine(cells: Cells, widths: readonly number[], gap: number): string[] {
  // a cell with colours is never cut, because its colour codes would be cut too
  const parts = widths.map((width, column) => {
    const cell = cells[column] ?? ''
    return widthOf(cell) > width && widthOf(cell) === cell.length ? wrapWords(cell, width) : [cell]
  })
  return Array.from({ length: Math.max(1, ...parts.map(({ length }) => length)) }, (_, line) =>
    parts
      .map((part, column) => {
        const text = part[line] ?? ''
        return text + ' '.repeat(Math.max(0, widths[column]! - widthOf(text)))
      })
      .join(' '.repeat(gap))
      .trimEnd(),
  )
}

function grid(header: Cells, rows: readonly Cells[], width: number): string {
  const lines = [header, ...rows]
  const widths = widthsOf(lines, header.length)
  const gap = totalOf(widths, 2) <= width ? 2 : 1
  const fitting = narrowed(widths, gap, width)
  return lines.flatMap((cells) => renderLine(cells, fitting, gap)).join('\n')
}

function below(rows: readonly Cells[], labelledBy: readonly number[], width: number): string[] {
  const told = rows.filter((row) => (row.at(-1) ?? '') !== '')
  return [...Map.groupBy(told, (row) => row.at(-1) ?? '')].flatMap(([text, group]) => {
    const labels = group.map((row) => labelledBy.map((column) => row[column] ?? '').join(' '))
    const shown = group.length < sharedBy ? labels : labels.slice(0, labelsShown)
    const more = labels.length - shown.length
    const [first = '', ...rest] = text.split('\n')
    const lines = [`${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}: ${first}`, ...rest]
    const size = Math.max(width - 2, narrowestColumn)
    return lines
      .flatMap((line) => (width === Infinity ? [line] : wrapWords(line, size)))
      .map((line, index) => (index === 0 ? `! ${line}` : `  ${line}`))
  })
}

function isTextBelow(header: Cells, rows: readonly Cells[], width: number): boolean {
  const texts = rows.map((row) => row.at(-1) ?? '').filter(Boolean)
  if (texts.some((text) => text.includes('\n'))) return true
  return texts.length > 0 && totalOf(widthsOf([header, ...rows], header.length), 2) > width
}

/**
 * Lines of left-aligned columns, two spaces between them, no spaces at the ends. Colour codes take no room. What is too wide
 * has one space between columns, and cells of several lines.
 */
export function table(
  header: Cells,
  rows: readonly Cells[],
  { width = Infinity, labelledBy }: TableOptions = {},
): string {
  if (labelledBy === undefined) return grid(header, rows, width)
  const padded = rows.map((row) => header.map((_, column) => row[column] ?? ''))
  if (!isTextBelow(header, padded, width)) return grid(header, padded, width)
  const narrow = grid(
    header.slice(0, -1),
    padded.map((row) => row.slice(0, -1)),
    width,
  )
  return [narrow, ...below(padded, labelledBy, width)].join('\n')
}
