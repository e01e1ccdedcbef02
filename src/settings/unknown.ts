// Finds environment variables that look like settings but are none: otherwise a mistyped name would be ignored silently.
import { nearest } from '#/lib/nearest.ts'
import { agentGroups } from './agent-settings.ts'
import { controllerGroups } from './controller-settings.ts'
import { type Environment, type SettingGroup, textOf } from './setting.ts'

const prefix = 'CAUSEWAY_'

/** These two variables say which lab a process belongs to, and in which role: src/lab/processes.ts finds the process by them. */
export const labVariable = 'CAUSEWAY_LAB'
export const labRoleVariable = 'CAUSEWAY_LAB_ROLE'

/** Variables that other programs read; an agent in a lab or a test inherits them, so they do not count as unknown. */
const otherVariables: readonly string[] = [
  labVariable,
  labRoleVariable,
  // read by the CNI plugin, native/cni-shim.c
  'CAUSEWAY_CNI_SOCKET',
  'CAUSEWAY_CNI_SPOOL',
  'CAUSEWAY_CNI_WAIT_MS',
  'CAUSEWAY_CNI_ABSENCE_MS',
  'CAUSEWAY_CNI_TIMEOUT_MS',
  // read by tests and benchmarks
  'CAUSEWAY_KUBECTL',
  'CAUSEWAY_TEST_RUNTIME',
  'CAUSEWAY_BENCH_NODE_OPTIONS',
  'CAUSEWAY_BENCH_AGAINST',
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
  /** The setting that was probably meant; undefined when none is similar. */
  readonly nearest: string | undefined
}

/** The variable of the program that is most similar to `name`; undefined when none is similar enough. */
export function nearestSetting(name: string, program: Program): string | undefined {
  // compares without the common prefix, which would make all names similar
  const words = variables[program].map((variable) => variable.slice(prefix.length))
  const word = nearest(name.startsWith(prefix) ? name.slice(prefix.length) : name, words)
  return word === undefined ? undefined : `${prefix}${word}`
}

/**
 * The variables that begin with CAUSEWAY_, are set, and that no program of Causeway reads, sorted by name. Settings of the other program do not
 * count as unknown: in a lab, both programs have the same environment.
 */
export function unknownSettings(env: Environment, program: Program): UnknownSetting[] {
  return Object.entries(env)
    .filter(([name]) => name.startsWith(prefix) && !known.has(name) && textOf(env, name) !== undefined)
    .map(([name]) => ({ name, nearest: nearestSetting(name, program) }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

/** Describes an unknown setting in one sentence, for logs and problems. */
export function tellUnknown({ name, nearest: meant }: UnknownSetting, program: Program): string {
  const hint = meant === undefined ? `"causeway help ${program}" lists them` : `did you mean ${meant}?`
  return `${name} is no setting of the ${program}; ${hint}`
}
