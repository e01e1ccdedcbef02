// The lines of the live picture as text. Rows come as text: each is made once, however many pages there are. Pure.
import { type DoctorState, type LiveLine, type Times } from './contract.ts'
import { type Picture } from './picture.ts'

/** What besides the rows is known now. */
export type LiveState = Times & {
  readonly source: string
  readonly version: string
  readonly doctor?: DoctorState
  readonly failure?: string
}

const lineOf = (line: LiveLine): string => JSON.stringify(line)

function unlistedIn({ unlisted }: Picture): { readonly unlisted?: string } {
  return unlisted === undefined ? {} : { unlisted }
}

function timesIn({ nowMs, askedMs, dueMs }: Times): Times {
  return { nowMs, ...(askedMs !== undefined && { askedMs }), ...(dueMs !== undefined && { dueMs }) }
}

export function allLine(picture: Picture, state: LiveState): string {
  const { source, version, doctor, failure } = state
  const head = { kind: 'all', source, version, ...timesIn(state) }
  const rest = { ...(doctor && { doctor }), ...(failure !== undefined && { failure }), ...unlistedIn(picture) }
  const [open, close] = [JSON.stringify(head).slice(0, -1), JSON.stringify(rest).slice(1)]
  return `${open},"nodes":${picture.rowsText}${close === '}' ? '' : ','}${close}`
}

/** The rows of these names as they are now; a name without one is gone. */
export function nodesLine(picture: Picture, names: Iterable<string>, times: Times): string {
  const changed: string[] = []
  const gone: string[] = []
  for (const name of names) {
    const text = picture.textOf(name)
    if (text === undefined) gone.push(name)
    else changed.push(text)
  }
  const rest = JSON.stringify({ gone, ...timesIn(times), ...unlistedIn(picture) }).slice(1)
  return `{"kind":"nodes","changed":[${changed.join(',')}],${rest}`
}

export function doctorLine(doctor: DoctorState): string {
  return lineOf({ kind: 'doctor', doctor })
}

export function failureLine(message: string): string {
  return lineOf({ kind: 'failure', message })
}
