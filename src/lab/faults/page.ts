// The rows of the table in docs/faults.md. Pure.
import { faults } from './catalogue.ts'

/** A row for each fault, in Markdown. */
export function faultRows(): string[] {
  return faults.map(({ name, about, where, codes }) => {
    const told = codes.map((code) => `[${code}](problems.md)`).join(', ')
    return `| \`${name}\` | ${about} | ${where} | ${told || '-'} |`
  })
}
