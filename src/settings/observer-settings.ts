// The settings of an observer: those of an agent that it has as well.
import { nodeSettings } from './agent-settings.ts'
import { type SettingGroup } from './setting.ts'

const { nodeName, kubeconfig, runDir, procSys, logLevel } = nodeSettings

export const observerSettings = { nodeName, kubeconfig, runDir, procSys, logLevel } as const

export const observerGroups: readonly SettingGroup[] = [{ title: 'The observer', settings: observerSettings }]
