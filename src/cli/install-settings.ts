// The settings of agent and controller as `causeway install` takes them: an option each, or `--set NAME=VALUE`. What a program would
// refuse on the cluster is refused here.
import { agentGroups, cniSettings, networkSettings } from '#/settings/agent-settings.ts'
import { noChain } from '#/settings/cni-chain.ts'
import { controllerGroups, controllerSettings } from '#/settings/controller-settings.ts'
import { withoutIt } from '#/settings/help.ts'
import { observerGroups } from '#/settings/observer-settings.ts'
import { optionSettings, setSettings } from '#/settings/passing.ts'
import { readSetting } from '#/settings/setting.ts'
import { nearestSetting } from '#/settings/unknown.ts'
import { type OptionDeclaration, type OptionTable, UsageError } from './args.ts'
import { checked } from './checked.ts'

/** The settings with an option. A setting of both programs has one option, as the agent declares it. */
const withOption = optionSettings([...agentGroups, ...controllerGroups]).filter(
  ({ install }, index, all) => all.findIndex((other) => other.install.option === install.option) === index,
)

const bySet = setSettings(agentGroups)

/** One option for each of these settings, the required ones first. */
export const settingOptions: OptionTable = Object.fromEntries(
  withOption
    .toSorted((one, other) => Number(other.isRequired ?? false) - Number(one.isRequired ?? false))
    .map((setting): [string, OptionDeclaration] => {
      const { option, operand, default: fallback } = setting.install
      const shownDefault = fallback ?? withoutIt(setting)
      return [option, { type: 'string', value: operand, help: setting.help, shownDefault }]
    }),
)

/** The variables that `--set` accepts. */
export const setVariables: readonly string[] = bySet.map(({ variable }) => variable)

/** NAME=VALUE of a setting that has no option. */
function readSet(text: string): [variable: string, value: string] {
  const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  const setting = bySet.find(({ variable }) => variable === name)
  if (setting !== undefined) {
    if (value !== '') checked(() => setting.parse(value, name))
    return [name, value]
  }
  const other = withOption.find(({ variable }) => variable === name)
  if (other !== undefined)
    throw new UsageError(`--set "${text}": it has an option, --${other.install.option} ${other.install.operand}`)
  const meant = nearestSetting(name, 'agent')
  const hint = meant === undefined || !setVariables.includes(meant) ? '' : `; did you mean ${meant}?`
  throw new UsageError(`--set "${text}": expected NAME=VALUE with one of ${setVariables.join(', ')}${hint}`)
}

/** The settings of observers that `--set` gives, by their variables. Throws UsageError. */
export function givenToObservers(texts: readonly string[]): Record<string, string> {
  const known: readonly string[] = setSettings(observerGroups).map(({ variable }) => variable)
  const given = texts.map(readSet)
  const other = given.find(([variable]) => !known.includes(variable))
  if (other) throw new UsageError(`--set ${other[0]}: observers have ${known.join(', ')} alone`)
  return Object.fromEntries(given)
}

/** Throws unless a node's CIDR fits into each cluster CIDR. */
function requireRoom(given: Readonly<Record<string, string>>): void {
  const sizes = {
    4: readSetting(controllerSettings.ipv4MaskSize, given),
    6: readSetting(controllerSettings.ipv6MaskSize, given),
  }
  for (const cidr of readSetting(controllerSettings.clusterCIDRs, given)) {
    const size = sizes[cidr.family]
    if (size < cidr.length)
      throw new UsageError(
        `--cluster-cidrs ${cidr} has no room for a node's /${size}: use a larger one, or --node-mask-size-ipv${cidr.family}`,
      )
  }
}

/** The settings that the command line gives, by their variables. Throws UsageError naming the option. */
export function givenSettings(
  values: Readonly<Record<string, unknown>> & { readonly set?: readonly string[] | undefined },
  { givesPodCIDRs }: { readonly givesPodCIDRs: boolean },
): Record<string, string> {
  if (!values[networkSettings.clusterCIDRs.install.option])
    throw new UsageError('--cluster-cidrs is missing: the CIDRs of all pods, such as 10.244.0.0/16,fd10:244::/48')
  const given: Record<string, string> = {}
  for (const { variable, parse, install } of withOption) {
    const text = values[install.option]
    if (typeof text !== 'string') continue
    // an empty variable would count as not set
    const value = text === '' && variable === cniSettings.chain.variable ? noChain : text
    checked(() => parse(value, `--${install.option}`))
    given[variable] = value
  }
  for (const [variable, value] of (values.set ?? []).map(readSet)) given[variable] = value
  if (givesPodCIDRs) requireRoom(given)
  return given
}
