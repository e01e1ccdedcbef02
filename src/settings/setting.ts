// What a setting is, and how its value is read from the environment of a process. Pure: the environment is handed in.
//
// Each setting is declared once, in agent-settings.ts or controller-settings.ts. What the program reads, its help, the page
// docs/settings.md, and what `causeway install` takes and passes on are derived from that declaration.
import { isServiceLink } from './service-links.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** A setting has a value that cannot be used. The message names the variable or option, its value, and what was expected. */
export class SettingError extends Error {
  override name = 'SettingError'
}

/** Reads a value. `name` is where the text comes from, a variable or an option, for the message. Throws SettingError. */
export type Parser<T> = (text: string, name: string) => T

/** How an installation on a cluster gives the setting to the program. */
export type Passing =
  /** By an option of `causeway install`, such as `--vni N`. `default` is what is passed on without it; absent: nothing is. */
  | { readonly by: 'option'; readonly option: string; readonly operand: string; readonly default?: string }
  /** By `causeway install --set NAME=VALUE`. */
  | { readonly by: 'set' }
  /** The installation has the value itself; `value` says in words which. */
  | { readonly by: 'installation'; readonly value: string }
  /** Not at all: on a cluster the default is right. */
  | { readonly by: 'nobody' }

export type Setting = {
  readonly variable: `CAUSEWAY_${string}`
  readonly parse: Parser<unknown>
  /** What is parsed when the variable is not set. */
  readonly default?: string
  /** The program does not start without it. */
  readonly isRequired?: true
  /** For a setting without a default: in words, what happens when it is not set. */
  readonly unset?: string
  /** What it is for, as help and documentation say it. */
  readonly help: string
  readonly install: Passing
}

/** Settings by the names that their values have in the program. */
export type Settings = Readonly<Record<string, Setting>>

/** Settings that are shown together. */
export type SettingGroup = { readonly title: string; readonly settings: Settings }

/** undefined is the value of a setting that is not set and has no default. */
export type SettingValue<S extends Setting> =
  | ReturnType<S['parse']>
  | (S extends { readonly default: string } | { readonly isRequired: true } ? never : undefined)

export type SettingValues<T extends Settings> = { readonly [Key in keyof T]: SettingValue<T[Key]> }

/**
 * What the environment says for a variable; undefined when it says nothing. An empty variable says nothing: server-side apply leaves
 * one behind where a value was taken away. Nor does one that Kubernetes made for a Service whose name happens to fit.
 */
export function textOf(env: Environment, variable: string): string | undefined {
  const text = env[variable]
  return text === undefined || text === '' || isServiceLink(variable, text) ? undefined : text
}

/** Throws SettingError. */
export function readSetting<S extends Setting>(setting: S, env: Environment): SettingValue<S> {
  // a parser of a required setting refuses the empty text
  const text = textOf(env, setting.variable) ?? setting.default ?? (setting.isRequired ? '' : undefined)
  return (text === undefined ? undefined : setting.parse(text, setting.variable)) as SettingValue<S>
}

/** Throws SettingError for the first value that cannot be used. */
export function readSettings<T extends Settings>(settings: T, env: Environment): SettingValues<T> {
  const values = Object.entries(settings).map(([key, setting]) => [key, readSetting(setting, env)])
  return Object.fromEntries(values) as SettingValues<T>
}
