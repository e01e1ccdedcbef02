// Results as text for people and as the generated sections of docs/benchmarks.md.
import { cpus, release } from 'node:os'
import { type Result, type Table } from './benchmark.ts'

function aligned({ columns, rows }: Table): string[] {
  const lines = [columns, ...rows]
  const widths = columns.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)))
  return lines.map((cells) =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  )
}

export function textOf(name: string, { tables, goals, notes }: Result): string {
  const parts = tables.map((table) => [table.title, ...aligned(table)].join('\n'))
  const goalLines = goals.map(
    ({ text, measured, isReached }) => `${isReached ? 'reached' : 'missed '}  ${text}: ${measured}`,
  )
  return [`# ${name}`, ...parts, goalLines.join('\n'), notes.join('\n')].filter(Boolean).join('\n\n')
}

function markdownTable({ title, columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = `|${columns.map((_, column) => (column === 0 ? '---' : '---:')).join('|')}|`
  return [`**${title}**`, '', line(columns), rule, ...rows.map(line)].join('\n')
}

/** "2 cores, Linux 6.12.9": what the figures were taken on, without names of the machine's maker. */
export function machine(): string {
  const version = /^\d+(\.\d+)*/.exec(release())?.[0] ?? release()
  return `${cpus().length} cores, Linux ${version}, Node ${process.versions.node}`
}

export function markdownOf(name: string, { tables, goals, notes }: Result, date: string): string {
  const reached = goals.map(
    ({ text, measured, isReached }) => `- ${isReached ? 'Reached' : 'Missed'}: ${text}: **${measured}**`,
  )
  const taken = `\`npm run bench ${name}\` on ${date}: ${machine()}.`
  return [taken, ...tables.map(markdownTable), reached.join('\n'), notes.join('\n')].filter(Boolean).join('\n\n')
}

/** Puts the section of a benchmark in between its two markers; throws when the page does not have them. */
export function withSection(page: string, name: string, section: string): string {
  const [begin, end] = [`<!-- ${name}: written by npm run bench -->`, `<!-- ${name}: end -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`the page lacks the markers "${begin}" and "${end}"`)
  return `${page.slice(0, from + begin.length)}\n\n${section}\n\n${page.slice(to)}`
}
