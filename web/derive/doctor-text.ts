// What doctor is doing, and how old is what it has said. Pure.
import { type DoctorState } from '#/ui/contract.ts'
import { clockText } from './words.ts'

/** Findings stay while it looks again, and when it cannot: so does their time. */
export function doctorText(doctor: DoctorState | undefined): string {
  if (doctor === undefined) return 'Doctor has not looked yet.'
  const { state, message = '', report, reportMs } = doctor
  const known = report === undefined || reportMs === undefined ? '' : `${report.summary}, ${clockText(reportMs)}`
  if (state === 'done') return `Doctor: ${known}`
  const last = known === '' ? '' : ` What it found last: ${known}`
  if (state === 'running') return `Doctor is looking for causes…${last}`
  return `Doctor could not look: ${message}${last === '' ? '' : `.${last}`}`
}
