// Makes the page docs/settings.md. scripts/settings-page.ts writes it, and a test checks that the committed page is up to date.
import { agentGroups } from './agent-settings.ts'
import { controllerGroups } from './controller-settings.ts'
import { withoutIt } from './help.ts'
import { type Setting, type SettingGroup } from './setting.ts'

const introduction = `# Settings

This page is written by \`scripts/settings-page.ts\` from \`src/settings\`: change it there.

Agent and controller read their settings from the environment when they start.

- A variable that is empty counts as not set, whatever its name.
- A value that cannot be used is told, with what was expected, and the program ends.
- A variable that begins with \`CAUSEWAY_\` and is none of these is told in the log, with the name that was probably meant, and has no other
  effect; the agent also shows it as a problem of the node in \`causeway status\`. Variables that Kubernetes makes for Services named \`causeway-…\`
  (\`CAUSEWAY_METRICS_SERVICE_HOST\`, \`CAUSEWAY_METRICS_PORT=tcp://…\`) are passed over.

The last column says how \`causeway install\` passes a setting on. What is not passed on has its default on a cluster.`

/** Escapes a text for a cell of a table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function passing({ install }: Setting): string {
  switch (install.by) {
    case 'option': {
      const fallback = install.default === undefined ? '' : `, without it \`${install.default}\``
      return `\`--${install.option} ${install.operand}\`${fallback}`
    }
    case 'set':
      return '`--set`'
    case 'installation':
      return `always: ${install.value}`
    case 'nobody':
      return 'not passed on'
  }
}

function defaultCell(setting: Setting): string {
  return setting.default === undefined ? withoutIt(setting) : `\`${setting.default}\``
}

function section({ title, settings }: SettingGroup): string {
  const rows = Object.values(settings).map(
    (setting) =>
      `| \`${setting.variable}\` | ${cell(setting.help)} | ${cell(defaultCell(setting))} | ${cell(passing(setting))} |`,
  )
  return [
    `### ${title}`,
    '',
    '| variable | what | when not set | `causeway install` |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n')
}

export function settingsPage(): string {
  const parts = [
    introduction,
    '## The agent',
    ...agentGroups.map(section),
    '`CAUSEWAY_ROUTING` and `CAUSEWAY_DATAPATH` are what holds where nothing else is said: the object `Routing` of the cluster goes before them,\nand the annotation of the Node object before both ([routing](routing.md), [datapath](datapath.md#which-datapath-a-node-has)).',
    "`CAUSEWAY_CNI_BIN_DIR` and `CAUSEWAY_CNI_CONF_DIR` are given both or not at all ([what is installed](cni.md#installation-on-a-node)). `CAUSEWAY_CNI_CHAIN=none`\nis no plugin after ours; `causeway install --cni-chain ''` writes that.",
    '`causeway status`, `clean` and `bgp speak` read `CAUSEWAY_RUN_DIR` too, `clean` also `CAUSEWAY_STATE_DIR`,\n`CAUSEWAY_CNI_CONF_DIR` and `CAUSEWAY_BPF_DIR`.',
    ...controllerGroups.map(section).map((text) => text.replace('### ', '## ')),
    "The CNI plugin has [variables of its own](cni.md#variables-of-the-shim), in the runtime's environment.",
  ]
  return `${parts.join('\n\n')}\n`
}
