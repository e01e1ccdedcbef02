// Settings as the help of a command lists them.
import { definitionList } from '#/lib/definition-list.ts'
import { type Setting, type SettingGroup } from './setting.ts'

const variableWidth = 27

/** What goes without the setting: its default, or words. */
export function withoutIt({ isRequired, default: fallback, unset }: Setting): string {
  return isRequired ? 'required' : (fallback ?? unset ?? '')
}

/** The variables of a program, for `causeway help agent`. */
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
