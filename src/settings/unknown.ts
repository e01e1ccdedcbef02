// Variables of the environment that look like settings and are none: a mistyped name would otherwise be ignored without a word.
import { nearest } from '#/lib/nearest.ts'
import { agentGroups } from './agent-settings.ts'
import { controllerGroups } from './controller-settings.ts'
import { isServiceLink } from './service-links.ts'
import { type Environment, type SettingGroup } from './setting.ts'

const prefix = 'CAUSEWAY_'

/** Which lab a process is of, and as what: src/lab/processes.ts finds it by them. */
export const labVariable = 'CAUSEWAY_LAB'
export const labRoleVariable = 'CAUSEWAY_LAB_ROLE'

/** What else than agent and controller reads variables: an agent of a lab or a test inherits them. */
const otherVariables: readonly string[] = [
  labVariable,
  labRoleVariable,
  // the CNI plugin, native/cni-shim.c
  'CAUSEWAY_CNI_SOCKET',
  'CAUSEWAY_CNI_SPOOL',
  'CAUSEWAY_CNI_WAIT_MS',
  'CAUSEWAY_CNI_TIMEOUT_MS',
  // tests and benchmarks
  'CAUSEWAY_KUBECTL',
  'CAUSEWAY_TEST_RUNTIME',
  'CAUSEWAY_BENCH_NODE_OPTIONS',
]

function variablesOf(groups: readonly SettingGroup[]): string[] {
  return groups.flatMap(({ settings }) => Object.values(settings).map(({ variable }) => variable))
}

/** The programs of Causeway that have settings. */
export type Program = 'agent' | 'controller'

const variables: Readonly<Record<Program, readonly string[]>> = {
  agent: variablesOf(agentGroups),
  controller: variablesOf(controllerGroups),
}
const known = new Set([...variables.agent, ...variables.controller, ...otherVariables])

export type UnknownSetting = {
  readonly name: string
  /** The setting that was probably meant, if one is like it. */
  readonly nearest: string | undefined
}

/** The setting of the program whose variable is most like `name`, if one is. */
export function nearestSetting(name: string, program: Program): string | undefined {
  // without what all of them begin with, which would make all of them alike
  const words = variables[program].map((variable) => variable.slice(prefix.length))
  const word = nearest(name.startsWith(prefix) ? name.slice(prefix.length) : name, words)
  return word === undefined ? undefined : `${prefix}${word}`
}

/**
 * The variables that begin with CAUSEWAY_ and that nothing of Causeway reads, in the order of their names. Settings of the other
 * program are not among them: in a lab, both programs have one environment.
 */
export function unknownSettings(env: Environment, program: Program): UnknownSetting[] {
  return Object.entries(env)
    .filter(([name, text = '']) => name.startsWith(prefix) && !known.has(name) && !isServiceLink(name, text))
    .map(([name]) => ({ name, nearest: nearestSetting(name, program) }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** One sentence for logs and problems. */
export function tellUnknown({ name, nearest: meant }: UnknownSetting, program: Program): string {
  const hint = meant === undefined ? `"causeway help ${program}" lists them` : `did you mean ${meant}?`
  return `${name} is no setting of the ${program}; ${hint}`
}
