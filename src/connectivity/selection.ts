// Which scenarios are run. Pure.
import { didYouMean } from '#/lib/nearest.ts'
import { scenarios } from './scenarios.ts'
import { type ScenarioName } from './types.ts'

/** Without them there is nothing to send between. */
const always: readonly ScenarioName[] = ['agents', 'pods-start']

const names = scenarios.map(({ name }) => name)

/** The names in a list with commas; a text instead says which of them is no scenario. */
function namesIn(text: string): ScenarioName[] | string {
  const found: ScenarioName[] = []
  for (const word of text.split(',').map((each) => each.trim())) {
    const name = names.find((each) => each === word)
    if (name === undefined) return `there is no scenario "${word}"${didYouMean(word, names) || '; --list shows them'}`
    found.push(name)
  }
  return found
}

export type Selection = {
  readonly names: ReadonlySet<ScenarioName>
  /** Doctor was left out by its name, and is not asked for what failed either. */
  readonly isWithoutDoctor: boolean
}

/** What `--only` and `--skip` say, or what is wrong with them. */
export function selectionOf(only: string | undefined, skip: string | undefined): Selection | string {
  const wanted = only === undefined ? names : namesIn(only)
  if (typeof wanted === 'string') return `--only: ${wanted}`
  const unwanted = skip === undefined ? [] : namesIn(skip)
  if (typeof unwanted === 'string') return `--skip: ${unwanted}`
  const left = wanted.filter((name) => !unwanted.includes(name))
  return { names: new Set([...always, ...left]), isWithoutDoctor: unwanted.includes('doctor') }
}
