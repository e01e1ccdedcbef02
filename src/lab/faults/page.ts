// The rows of the table in docs/faults.md. Pure.
import { faults } from './catalogue.ts'
import { codesOfDoctor } from './fault.ts'

/** A row for each fault, in Markdown. */
export function faultRows(): string[] {
  const linked = (codes: readonly string[]): string => codes.map((code) => `[${code}](problems.md)`).join(', ') || '-'
  return faults.map((fault) => {
    const { name, about, where, codes, codesInRacks } = fault
    const inRacks = codesInRacks === undefined ? '' : `; with racks ${linked(codesInRacks)}`
    const ofDoctor = linked(codesOfDoctor(fault))
    const withFlannel = fault.doctorWithFlannel === undefined ? '' : `; with flannel ${linked(fault.doctorWithFlannel)}`
    return `| \`${name}\` | ${about} | ${where} | ${linked(codes)}${inRacks} | ${ofDoctor}${withFlannel} |`
  })
}
