// What doctor is doing, and how old is what it has said. Pure.
import { type DoctorState } from '#/ui/contract.ts'
import { clockText } from './words.ts'

/**
 * Findings stay while it looks again, and when it cannot: so does their time. `isTold`: agents tell of something that is wrong, which is a finding
 * where doctor has looked since.
 */
export function doctorText(doctor: DoctorState | undefined, isTold = false): string {
  if (doctor === undefined) return 'Doctor has not looked yet.'
  const { state, message = '', report, reportMs } = doctor
  const known = report === undefined || reportMs === undefined ? '' : `${report.summary}, ${clockText(reportMs)}`
  const last = known === '' ? '' : ` What it found last: ${known}`
  if (state === 'done')
    return isTold && report?.findings.length === 0 ? `Doctor has not looked since.${last}` : `Doctor: ${known}`
  if (state === 'running') return `Doctor is looking for causes…${last}`
  return `Doctor could not look: ${message}${last === '' ? '' : `.${last}`}`
}
