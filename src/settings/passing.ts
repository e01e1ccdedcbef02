// How an installation on a cluster passes settings on: which settings it accepts, and which variables it gives to the programs.
import { type Environment, type Passing, type Setting, type SettingGroup, textOf } from './setting.ts'

export type OptionSetting = Setting & { readonly install: Extract<Passing, { readonly by: 'option' }> }

function allOf(groups: readonly SettingGroup[]): Setting[] {
  return groups.flatMap(({ settings }) => Object.values(settings))
}

/** The settings that have an option of `causeway install`. */
export function optionSettings(groups: readonly SettingGroup[]): OptionSetting[] {
  return allOf(groups).filter((setting): setting is OptionSetting => setting.install.by === 'option')
}

/** The settings that `causeway install --set` accepts. */
export function setSettings(groups: readonly SettingGroup[]): Setting[] {
  return allOf(groups).filter(({ install }) => install.by === 'set')
}

/** The text that is passed on: the given one, else the installation's default; undefined leaves the program its own default. */
export function passedOn(
  setting: Setting & { readonly install: { readonly default: string } },
  given: Environment,
): string
export function passedOn(setting: Setting, given: Environment): string | undefined
export function passedOn({ variable, install }: Setting, given: Environment): string | undefined {
  return textOf(given, variable) ?? (install.by === 'option' ? install.default : undefined)
}

/** An environment variable of a container, in the form of the Kubernetes API. */
export type ContainerVariable = { readonly name: string; readonly value?: string; readonly valueFrom?: object }

/**
 * The environment that an installation gives to a program. `given` has the texts that the user gave, by variable; `own` has the values
 * that the installation determines itself, for each setting that is passed on `by: 'installation'`.
 */
export function passedEnvironment(
  groups: readonly SettingGroup[],
  given: Environment,
  own: Readonly<Record<string, Omit<ContainerVariable, 'name'>>>,
): ContainerVariable[] {
  return allOf(groups).flatMap((setting): ContainerVariable[] => {
    const { variable: name, install } = setting
    if (install.by === 'installation') {
      const value = own[name]
      if (value === undefined) throw new Error(`bug: the installation has no value of its own for ${name}`)
      return [{ name, ...value }]
    }
    const value = passedOn(setting, given)
    return value === undefined ? [] : [{ name, value }]
  })
}
