// A table as plain text, as commands print it.
import { stripVTControlCharacters } from 'node:util'

const gap = '  '

function widthOf(cell: string): number {
  return stripVTControlCharacters(cell).length
}

/** Lines of left-aligned columns, two spaces between them, no spaces at the ends. Colour codes take no room. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...lines.map((cells) => widthOf(cells[column] ?? ''))))
  const pad = (cell: string, column: number): string => cell + ' '.repeat(widths[column]! - widthOf(cell))
  return lines.map((cells) => cells.map(pad).join(gap).trimEnd()).join('\n')
}
