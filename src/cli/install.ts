// `causeway install`: the objects of an installation, printed or brought to a cluster.
import { parseCIDRs, readConfig } from '#/agent/config.ts'
import { readCniInstall } from '#/agent/cni-install/config.ts'
import { applyAll, removeAll } from '#/install/apply.ts'
import { endCleaning } from '#/install/clean-up.ts'
import { allIdentities, keyOf, manifests } from '#/install/manifests.ts'
import { agentSettingNames, defaultSettings, type InstallSettings } from '#/install/settings.ts'
import { type Prefix } from '#/lib/addr.ts'
import { noMore, options, type OptionTable, UsageError, wholeNumber } from './args.ts'
import { checked } from './checked.ts'
import { clusterOptions, connectTo, namespaceIn, toYaml } from './cluster-options.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'

/** The controller's own. */
const defaultMaskSizes = { 4: 24, 6: 64 } as const

const installOptions = {
  image: { type: 'string', value: 'IMAGE', help: 'the image that nodes run', shownDefault: 'required' },
  'cluster-cidrs': { type: 'string', value: 'LIST', help: 'CIDRs of all pods', shownDefault: 'required' },
  controller: {
    type: 'string',
    value: 'YES|NO',
    default: 'no',
    choices: ['yes', 'no'],
    help: 'give nodes their pod CIDRs; not where kube-controller-manager does',
  },
  'node-mask-size-ipv4': {
    type: 'string',
    value: 'N',
    help: "length of a node's IPv4 CIDR, for the controller",
    shownDefault: String(defaultMaskSizes[4]),
  },
  'node-mask-size-ipv6': {
    type: 'string',
    value: 'N',
    help: "length of a node's IPv6 CIDR, for the controller",
    shownDefault: String(defaultMaskSizes[6]),
  },
  vni: { type: 'string', value: 'N', default: String(defaultSettings.vni), help: 'VXLAN network identifier' },
  port: { type: 'string', value: 'N', default: String(defaultSettings.vxlanPort), help: 'UDP port of the overlay' },
  'http-port': {
    type: 'string',
    value: 'N',
    default: String(defaultSettings.httpPort),
    help: 'TCP port of health and metrics on each node',
  },
  'api-server': {
    type: 'string',
    value: 'HOST:PORT',
    help: "where the API is, if the cluster's own service address cannot be used",
  },
  'cni-bin-dir': {
    type: 'string',
    value: 'DIR',
    default: defaultSettings.cniBinDir,
    help: "the runtime's folder of CNI plugins",
  },
  'cni-conf-dir': {
    type: 'string',
    value: 'DIR',
    default: defaultSettings.cniConfDir,
    help: "the runtime's folder of CNI configurations",
  },
  'cni-chain': {
    type: 'string',
    value: 'LIST',
    help: 'plugins to run after it, of portmap, bandwidth, tuning',
    shownDefault: 'portmap, if it is installed',
  },
  'node-selector': {
    type: 'string',
    value: 'LIST',
    help: 'KEY=VALUE labels of the nodes that get an agent',
    shownDefault: 'all',
  },
  set: {
    type: 'string',
    value: 'NAME=VALUE',
    multiple: true,
    help: `another setting of the agent ("causeway help agent"), of ${agentSettingNames.join(', ')}`,
  },
  ...clusterOptions,
} as const satisfies OptionTable

function within(option: string, text: string, max: number): number {
  const value = wholeNumber(option, text)
  if (value < 1 || value > max) throw new UsageError(`--${option} "${text}": expected a number from 1 to ${max}`)
  return value
}

/** KEY=VALUE,KEY=VALUE */
function labelsIn(text: string): Record<string, string> {
  const pairs = text.split(',').filter(Boolean)
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, key, value] = /^([\w./-]+)=([\w.-]*)$/.exec(pair) ?? []
      if (key !== undefined && value !== undefined) return [key, value]
      throw new UsageError(`--node-selector "${pair}": expected KEY=VALUE, such as network=causeway`)
    }),
  )
}

/** NAME=VALUE of the agent's settings that have no option; what the agent would refuse is refused here. */
function agentSettingsIn(texts: readonly string[], clusterCIDRs: string): Record<string, string> {
  const settings = Object.fromEntries(
    texts.map((text) => {
      const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
      if (agentSettingNames.includes(name)) return [name, value]
      throw new UsageError(`--set "${text}": expected NAME=VALUE with one of ${agentSettingNames.join(', ')}`)
    }),
  )
  checked(() => readConfig({ CAUSEWAY_NODE_NAME: 'any', CAUSEWAY_CLUSTER_CIDRS: clusterCIDRs, ...settings }))
  return settings
}

function apiServerIn(text: string | undefined): InstallSettings['apiServer'] {
  if (text === undefined) return undefined
  const [, v6, other, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? other
  if (host !== undefined) return { host, port }
  throw new UsageError(`--api-server "${text}": expected HOST:PORT, such as 10.0.0.1:6443 or [fd00::1]:6443`)
}

/** What the controller would refuse on the cluster is refused here. */
function requireRoom(clusterCIDRs: readonly Prefix[], sizes: InstallSettings['nodeMaskSizes']): void {
  for (const cidr of clusterCIDRs) {
    const size = Number(sizes[cidr.family] ?? defaultMaskSizes[cidr.family])
    if (size < cidr.length)
      throw new UsageError(
        `--cluster-cidrs ${cidr} has no room for a node's /${size}: use a larger one, or --node-mask-size-ipv${cidr.family}`,
      )
  }
}

/** Throws UsageError naming the option. */
function readSettings(args: readonly string[]) {
  const { values, positionals } = options(args, installOptions)
  noMore(positionals)
  const { image, controller } = values
  if (image === undefined || image === '') throw new UsageError('--image is missing: the image that nodes run')
  if (!/^[\w./:@-]+$/.test(image)) throw new UsageError(`--image "${image}": expected the name of an image`)
  const clusterCIDRs = checked(() => parseCIDRs(values['cluster-cidrs'] ?? '', '--cluster-cidrs'))
  if (clusterCIDRs.length === 0)
    throw new UsageError('--cluster-cidrs is missing: the CIDRs of all pods, such as 10.244.0.0/16,fd10:244::/48')
  const cni = {
    CAUSEWAY_CNI_BIN_DIR: values['cni-bin-dir'],
    CAUSEWAY_CNI_CONF_DIR: values['cni-conf-dir'],
    CAUSEWAY_CNI_CHAIN: values['cni-chain'],
  }
  if (checked(() => readCniInstall(cni, '')) === undefined)
    throw new UsageError('--cni-bin-dir and --cni-conf-dir are empty: expected the folders of the container runtime')
  const maskSizeIn = (option: 'node-mask-size-ipv4' | 'node-mask-size-ipv6', max: number): string | undefined =>
    values[option] === undefined ? undefined : String(within(option, values[option], max))
  const nodeMaskSizes = { 4: maskSizeIn('node-mask-size-ipv4', 32), 6: maskSizeIn('node-mask-size-ipv6', 128) }
  if (controller === 'yes') requireRoom(clusterCIDRs, nodeMaskSizes)
  const settings: InstallSettings = {
    namespace: namespaceIn(values.namespace),
    image,
    clusterCIDRs: clusterCIDRs.map(String),
    vni: within('vni', values.vni, (1 << 24) - 1),
    vxlanPort: within('port', values.port, 65_535),
    httpPort: within('http-port', values['http-port'], 65_535),
    cniBinDir: values['cni-bin-dir'],
    cniConfDir: values['cni-conf-dir'],
    cniChain: values['cni-chain'],
    nodeSelector: labelsIn(values['node-selector'] ?? ''),
    agentSettings: agentSettingsIn(values.set ?? [], clusterCIDRs.join(',')),
    hasController: controller === 'yes',
    nodeMaskSizes,
    apiServer: apiServerIn(values['api-server']),
  }
  return { settings, values }
}

export const installCommand: Action = {
  name: 'install',
  summary: 'print what a cluster needs to run Causeway, or apply it',
  needs: '--image IMAGE --cluster-cidrs LIST',
  about: `Prints Kubernetes objects as YAML: an agent for every node, with the least rights it works with, and on demand the controller. docs/install.md says what a cluster must have. With --apply again, it upgrades.`,
  options: installOptions,
  run: async (args) => {
    const { settings, values } = readSettings(args)
    const wanted = manifests(settings)
    const isDryRun = values['dry-run'] === true
    if (!values.apply && !isDryRun) {
      print(toYaml(wanted))
      return 0
    }
    await using client = await connectTo(values.kubeconfig)
    if (!isDryRun) await endCleaning(client, settings.namespace)
    await applyAll(client, wanted, { isDryRun, say: print })
    // what an earlier installation had and this one has not
    const kept = new Set(wanted.map(keyOf))
    const surplus = allIdentities(settings.namespace).filter((each) => !kept.has(keyOf(each)))
    await removeAll(client, surplus, { isDryRun, say: print })
    return 0
  },
}
