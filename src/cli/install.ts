// `causeway install` and `causeway uninstall`: the objects of an installation, printed or brought to a cluster.
import { stringify } from 'yaml'
import { type ApiClient } from '#/cluster/client.ts'
import { systemClock } from '#/cluster/clock.ts'
import { connect } from '#/cluster/connect.ts'
import { isApiError } from '#/cluster/errors.ts'
import { parseCIDRs, readConfig } from '#/agent/config.ts'
import { readCniInstall } from '#/agent/cni-install/config.ts'
import { applyAll, removeAll } from '#/install/apply.ts'
import { cleanNodes, endCleaning, forgetRouting } from '#/install/clean-up.ts'
import { allIdentities, keyOf, manifests } from '#/install/manifests.ts'
import { agentSettingNames, defaultSettings, type InstallSettings, type Manifest } from '#/install/settings.ts'
import { type Prefix } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { noMore, options, UsageError, wholeNumber } from './args.ts'
import { type Command, print } from './command.ts'

/** The controller's own. */
const defaultMaskSizes = { 4: 24, 6: 64 } as const

const commonOptions = {
  namespace: { type: 'string', default: defaultSettings.namespace },
  kubeconfig: { type: 'string' },
  apply: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
} as const

const installOptions = {
  ...commonOptions,
  image: { type: 'string' },
  'cluster-cidrs': { type: 'string' },
  controller: { type: 'string', default: 'no' },
  'node-mask-size-ipv4': { type: 'string' },
  'node-mask-size-ipv6': { type: 'string' },
  vni: { type: 'string', default: String(defaultSettings.vni) },
  port: { type: 'string', default: String(defaultSettings.vxlanPort) },
  'http-port': { type: 'string', default: String(defaultSettings.httpPort) },
  'api-server': { type: 'string' },
  'cni-bin-dir': { type: 'string', default: defaultSettings.cniBinDir },
  'cni-conf-dir': { type: 'string', default: defaultSettings.cniConfDir },
  'cni-chain': { type: 'string' },
  set: { type: 'string', multiple: true },
  'node-selector': { type: 'string' },
} as const

/** kubectl reads YAML 1.1, in which on, off, yes and no are no texts. */
function toYaml(objects: readonly Manifest[]): string {
  return objects
    .map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' }))
    .join('---\n')
    .trimEnd()
}

function namespaceIn(text: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text
  throw new UsageError(`--namespace "${text}": expected lower-case letters, digits and dashes, at most 63`)
}

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

function checked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
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
  if (controller !== 'yes' && controller !== 'no')
    throw new UsageError(`--controller "${controller}": expected yes or no`)
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

async function connectTo(kubeconfig: string | undefined): Promise<ApiClient> {
  const path = kubeconfig ?? process.env['KUBECONFIG'] ?? ''
  if (path === '') throw new UsageError('no cluster is given: use --kubeconfig FILE, or set KUBECONFIG')
  return connect({ kubeconfig: path })
}

const clusterHelp = `  --apply               bring it to the cluster instead of printing it
  --dry-run             ask the cluster's API whether it would take it; change nothing
  --kubeconfig FILE     which cluster                                          ($KUBECONFIG)
  --namespace NAME      where agents and controller run                        (${defaultSettings.namespace})`

export const installCommand: Command = {
  name: 'install',
  summary: 'print what a cluster needs to run Causeway, or apply it',
  help: `usage: causeway install --image IMAGE --cluster-cidrs LIST [OPTIONS]

Prints Kubernetes objects as YAML: an agent for every node, with the least rights it works with, and on demand the
controller. docs/install.md says what a cluster must have. With --apply again, it upgrades.

  --image IMAGE         the image that nodes run                               (required)
  --cluster-cidrs LIST  CIDRs of all pods                                      (required)
  --controller YES|NO   give nodes their pod CIDRs; no where kube-controller-manager does  (no)
  --node-mask-size-ipv4 N, --node-mask-size-ipv6 N
                        length of a node's CIDRs, for the controller           (24, 64)
  --vni N               VXLAN network identifier                               (${defaultSettings.vni})
  --port N              UDP port of the overlay                                (${defaultSettings.vxlanPort})
  --http-port N         TCP port of health and metrics on each node            (${defaultSettings.httpPort})
  --api-server ADDR     HOST:PORT, where the cluster's own service address cannot be used
  --cni-bin-dir DIR     the runtime's folder of CNI plugins                    (${defaultSettings.cniBinDir})
  --cni-conf-dir DIR    the runtime's folder of CNI configurations             (${defaultSettings.cniConfDir})
  --cni-chain LIST      plugins to run after it: portmap, bandwidth, tuning    (portmap, if it is installed)
  --node-selector LIST  KEY=VALUE labels of the nodes that get an agent        (all)
  --set NAME=VALUE      another setting of the agent ("causeway help agent"), again for more:
                        ${agentSettingNames.slice(0, 3).join(', ')},
                        ${agentSettingNames.slice(3).join(', ')}
${clusterHelp}`,
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

export const uninstallCommand: Command = {
  name: 'uninstall',
  summary: 'print what to delete from a cluster, or delete it and clean the nodes',
  help: `usage: causeway uninstall [--apply] [OPTIONS]

Prints the objects of an installation, for "kubectl delete -f -", which leaves the nodes as they are. With --apply it first
runs "causeway clean --files" on every node in place of the agent, waits for all, and then deletes the objects. Pods that run
then lose their network: drain the nodes before, or delete the pods once another network is there.

  --keep-nodes          only delete the objects: forwarding on the nodes goes on
  --timeout SECONDS     how long to wait for the nodes                         (300)
${clusterHelp}`,
  run: async (args) => {
    const { values, positionals } = options(args, {
      ...commonOptions,
      'keep-nodes': { type: 'boolean' },
      timeout: { type: 'string', default: '300' },
    } as const)
    noMore(positionals)
    const namespace = namespaceIn(values.namespace)
    const timeoutMs = wholeNumber('timeout', values.timeout) * 1000
    const isDryRun = values['dry-run'] === true
    const gone = allIdentities(namespace)
    if (!values.apply && !isDryRun) {
      print(toYaml(gone.toReversed()))
      return 0
    }
    await using client = await connectTo(values.kubeconfig)
    if (!isDryRun && !values['keep-nodes']) {
      try {
        const nodes = await cleanNodes(client, namespace, { timeoutMs, clock: systemClock })
        print(`${nodes} nodes cleaned`)
      } catch (error) {
        // there is no DaemonSet: nothing runs on the nodes, and the rest can go
        if (!isApiError(error, 404)) throw error
        print(`no agents in namespace ${namespace}: no node was cleaned`)
      }
      await forgetRouting(client)
    }
    await removeAll(client, gone, { isDryRun, say: print })
    return 0
  },
}
