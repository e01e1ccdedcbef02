// `causeway install` and `causeway uninstall`: the objects of an installation, printed or brought to a cluster.
import { stringify } from 'yaml'
import { type ApiClient } from '#/cluster/client.ts'
import { systemClock } from '#/cluster/clock.ts'
import { connect } from '#/cluster/connect.ts'
import { isApiError } from '#/cluster/errors.ts'
import { applyAll, removeAll } from '#/install/apply.ts'
import { cleanNodes, endCleaning, forgetRouting } from '#/install/clean-up.ts'
import { allIdentities, keyOf, manifests } from '#/install/manifests.ts'
import { type InstallSettings, type Manifest } from '#/install/settings.ts'
import { definitionList } from '#/lib/definition-list.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { noMore, options, UsageError, wholeNumber } from './args.ts'
import { type Command, print } from './command.ts'
import { givenSettings, settingOptions, settingRows, setVariables } from './install-settings.ts'

const defaultNamespace = nodeSettings.namespace.default

const commonOptions = {
  namespace: { type: 'string', default: defaultNamespace },
  kubeconfig: { type: 'string' },
  apply: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
} as const

const installOptions = {
  ...commonOptions,
  ...settingOptions,
  image: { type: 'string' },
  controller: { type: 'string', default: 'no' },
  'api-server': { type: 'string' },
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

function apiServerIn(text: string | undefined): InstallSettings['apiServer'] {
  if (text === undefined) return undefined
  const [, v6, other, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? other
  if (host !== undefined) return { host, port }
  throw new UsageError(`--api-server "${text}": expected HOST:PORT, such as 10.0.0.1:6443 or [fd00::1]:6443`)
}

/** Throws UsageError naming the option. */
function readOptions(args: readonly string[]) {
  const { values, positionals } = options(args, installOptions)
  noMore(positionals)
  const { image, controller } = values
  if (image === undefined || image === '') throw new UsageError('--image is missing: the image that nodes run')
  if (!/^[\w./:@-]+$/.test(image)) throw new UsageError(`--image "${image}": expected the name of an image`)
  if (controller !== 'yes' && controller !== 'no')
    throw new UsageError(`--controller "${controller}": expected yes or no`)
  const hasController = controller === 'yes'
  const settings: InstallSettings = {
    namespace: namespaceIn(values.namespace),
    image,
    given: givenSettings(values, { hasController }),
    nodeSelector: labelsIn(values['node-selector'] ?? ''),
    hasController,
    apiServer: apiServerIn(values['api-server']),
  }
  return { settings, values }
}

async function connectTo(kubeconfig: string | undefined): Promise<ApiClient> {
  const path = kubeconfig ?? process.env['KUBECONFIG'] ?? ''
  if (path === '') throw new UsageError('no cluster is given: use --kubeconfig FILE, or set KUBECONFIG')
  return connect({ kubeconfig: path })
}

const termWidth = 21

const clusterHelp = definitionList(
  [
    ['--apply', 'bring it to the cluster instead of printing it'],
    ['--dry-run', "ask the cluster's API whether it would take it; change nothing"],
    ['--kubeconfig FILE', 'which cluster ($KUBECONFIG)'],
    ['--namespace NAME', `where agents and controller run (${defaultNamespace})`],
  ],
  termWidth,
)

const installHelp = definitionList(
  [
    ['--image IMAGE', 'the image that nodes run (required)'],
    ...settingRows,
    ['--controller YES|NO', 'give nodes their pod CIDRs; no where kube-controller-manager does (no)'],
    ['--api-server ADDR', "HOST:PORT, where the cluster's own service address cannot be used"],
    ['--node-selector LIST', 'KEY=VALUE labels of the nodes that get an agent (all)'],
    [
      '--set NAME=VALUE',
      `another setting of the agent ("causeway help agent"), again for more: ${setVariables.join(', ')}`,
    ],
  ],
  termWidth,
)

const uninstallHelp = definitionList(
  [
    ['--keep-nodes', 'only delete the objects: forwarding on the nodes goes on'],
    ['--timeout SECONDS', 'how long to wait for the nodes (300)'],
  ],
  termWidth,
)

export const installCommand: Command = {
  name: 'install',
  summary: 'print what a cluster needs to run Causeway, or apply it',
  help: `usage: causeway install --image IMAGE --cluster-cidrs LIST [OPTIONS]

Prints Kubernetes objects as YAML: an agent for every node, with the least
rights it works with, and on demand the controller. docs/install.md says what a
cluster must have. With --apply again, it upgrades.

${installHelp}
${clusterHelp}`,
  run: async (args) => {
    const { settings, values } = readOptions(args)
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

Prints the objects of an installation, for "kubectl delete -f -", which leaves
the nodes as they are. With --apply it first runs "causeway clean --files" on
every node in place of the agent, waits for all, and then deletes the objects.
Pods that run then lose their network: drain the nodes before, or delete the
pods once another network is there.

${uninstallHelp}
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
