// Lists settings for the help of a command.
import { definitionList } from '#/lib/definition-list.ts'
import { type Setting, type SettingGroup } from './setting.ts'

const variableWidth = 27

/** What applies when the setting is not set: its default, or a description in words. */
export function withoutIt({ isRequired, default: fallback, unset }: Setting): string {
  return isRequired ? 'required' : (fallback ?? unset ?? '')
}

/** The list of a program's variables, as in `causeway help agent`. */
export function settingsHelp(groups: readonly SettingGroup[]): string {
  return groups
    .map(({ title, settings }) => {
      const rows = Object.values(settings).map(
        (setting) => [setting.variable, `${setting.help} (${withoutIt(setting)})`] as const,
      )
      return `${title}:\n${definitionList(rows, variableWidth)}`
    })
    .join('\n\n')
}
