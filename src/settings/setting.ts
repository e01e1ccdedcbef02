// Defines what a setting is, and reads its value from the environment of a process. Pure: the caller passes the environment.
//
// Each setting is declared once, in agent-settings.ts or controller-settings.ts. What the program reads, its help, the page
// docs/settings.md, and what `causeway install` takes and passes on are derived from that declaration.
import { isServiceLink } from './service-links.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Thrown when a setting's value cannot be used. The message names the variable or option, its value, and what was expected. */
export class SettingError extends Error {
  override name = 'SettingError'
}

/** Reads a value. `name` is the variable or option that the text comes from, for the message. Throws SettingError. */
export type Parser<T> = (text: string, name: string) => T

/** How an installation on a cluster gives the setting to the program. */
export type Passing =
  /** An option of `causeway install` sets it, such as `--vni N`. Without the option `default` is passed, or nothing if that is absent. */
  | { readonly by: 'option'; readonly option: string; readonly operand: string; readonly default?: string }
  /** The option `--set NAME=VALUE` of `causeway install` sets it. */
  | { readonly by: 'set' }
  /** The installation determines the value itself; `value` describes it in words. */
  | { readonly by: 'installation'; readonly value: string }
  /** The setting is not passed on: on a cluster its default is right. */
  | { readonly by: 'nobody' }

export type Setting = {
  readonly variable: `CAUSEWAY_${string}`
  readonly parse: Parser<unknown>
  /** The text that is parsed when the variable is not set. */
  readonly default?: string
  /** Set when the program does not start without the setting. */
  readonly isRequired?: true
  /** For a setting without a default: a description of what happens when it is not set. */
  readonly unset?: string
  /** What the setting is for, in the words of help and documentation. */
  readonly help: string
  readonly install: Passing
}

/** Settings, each under the key that its value has in the program. */
export type Settings = Readonly<Record<string, Setting>>

/** Settings that help and documentation list together. */
export type SettingGroup = { readonly title: string; readonly settings: Settings }

/** The type of a setting's value, with undefined for a setting that may be unset and has no default. */
export type SettingValue<S extends Setting> =
  | ReturnType<S['parse']>
  | (S extends { readonly default: string } | { readonly isRequired: true } ? never : undefined)

export type SettingValues<T extends Settings> = { readonly [Key in keyof T]: SettingValue<T[Key]> }

/**
 * The text of a variable; undefined when the variable counts as not set. An empty variable counts as not set, because server-side apply
 * leaves one behind where a value was removed. So does a variable that Kubernetes made for a Service whose name happens to match.
 */
export function textOf(env: Environment, variable: string): string | undefined {
  const text = env[variable]
  return text === undefined || text === '' || isServiceLink(variable, text) ? undefined : text
}

/** Reads the setting's value from the environment. Throws SettingError. */
export function readSetting<S extends Setting>(setting: S, env: Environment): SettingValue<S> {
  // the parser of a required setting rejects the empty text
  const text = textOf(env, setting.variable) ?? setting.default ?? (setting.isRequired ? '' : undefined)
  return (text === undefined ? undefined : setting.parse(text, setting.variable)) as SettingValue<S>
}

/** Reads all settings. Throws SettingError for the first value that cannot be used. */
export function readSettings<T extends Settings>(settings: T, env: Environment): SettingValues<T> {
  const values = Object.entries(settings).map(([key, setting]) => [key, readSetting(setting, env)])
  return Object.fromEntries(values) as SettingValues<T>
}
