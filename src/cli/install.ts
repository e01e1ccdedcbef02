// `causeway install`: the objects of an installation, printed or brought to a cluster.
import { type ApiClient } from '#/cluster/client.ts'
import { systemClock } from '#/cluster/clock.ts'
import { applyAll, awaitDeletions, removeAll } from '#/install/apply.ts'
import { requireNoPrograms } from '#/install/datapath.ts'
import { endCleaning } from '#/install/clean-up.ts'
import { manifests, removableIdentities } from '#/install/manifests.ts'
import { type ObserverInstall, observerManifests } from '#/install/observer.ts'
import { isUpgrade, pullFirst } from '#/install/pull.ts'
import { controllerWorks, type InstallSettings, keyOf, type Manifest } from '#/install/settings.ts'
import {
  noMore,
  type OptionDeclaration,
  options,
  type OptionTable,
  UsageError,
  type Values,
  wholeNumber,
} from './args.ts'
import { clusterOptions, connectTo, namespaceIn, toYaml } from './cluster-options.ts'
import { type Action } from './command.ts'
import { givenSettings, givenToObservers, settingOptions, setVariables } from './install-settings.ts'
import { Interrupted, Interruption } from './interruption.ts'
import { print } from './output.ts'

/** How long an uninstall of just before may take to be over. */
const deletionTimeoutMs = 120_000

const installOptions = {
  image: { type: 'string', value: 'IMAGE', help: 'the image that nodes run', shownDefault: 'required' },
  observer: {
    type: 'boolean',
    help: "observers, which change nothing, for nodes with flannel's network; takes --image, --node-selector, --api-server, and --set CAUSEWAY_LOG_LEVEL",
  },
  ...settingOptions,
  controller: {
    type: 'string',
    value: 'YES|STATUS|NO',
    default: 'no',
    choices: controllerWorks,
    help: 'yes: gives nodes their pod CIDRs, not where kube-controller-manager does, and writes the status of objects; status: only that',
  },
  'api-server': {
    type: 'string',
    value: 'HOST:PORT',
    help: "where the API is, if the cluster's own service address cannot be used",
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
    help: `another setting of the agent ("causeway help agent"), of ${setVariables.join(', ')}`,
  },
  'pull-timeout': {
    type: 'string',
    value: 'SECONDS',
    default: '300',
    help: 'how long nodes may take to pull a new image before agents are replaced; 0: they do not pull it first',
  },
  ...clusterOptions,
} as const satisfies OptionTable

/** Reads labels as KEY=VALUE,KEY=VALUE. */
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

type InstallValues = Values<typeof installOptions>

function imageIn({ image }: InstallValues): string {
  if (image === undefined || image === '') throw new UsageError('--image is missing: the image that nodes run')
  if (!/^[\w./:@-]+$/.test(image)) throw new UsageError(`--image "${image}": expected the name of an image`)
  return image
}

const ofObservers = new Set(['image', 'observer', 'api-server', 'node-selector', 'set', ...Object.keys(clusterOptions)])

/** The options of an installation of observers. Throws UsageError for one that they do not have. */
function readObserver(values: InstallValues): ObserverInstall {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== false)
  const stray = given.find(([name, value]) => !ofObservers.has(name) && !isDefault(name, value))
  if (stray) throw new UsageError(`--${stray[0]}: observers have no such setting`)
  return {
    namespace: namespaceIn(values.namespace),
    image: imageIn(values),
    given: givenToObservers(values.set ?? []),
    nodeSelector: labelsIn(values['node-selector'] ?? ''),
    apiServer: apiServerIn(values['api-server']),
  }
}

function isDefault(name: string, value: unknown): boolean {
  const declared: Readonly<Record<string, OptionDeclaration>> = installOptions
  return declared[name]?.default === value
}

/** Reads the options. Throws UsageError naming the option. */
function readOptions(values: InstallValues) {
  const { controller } = values
  const image = imageIn(values)
  const work = controllerWorks.find((each) => each === controller) ?? 'no'
  const settings: InstallSettings = {
    namespace: namespaceIn(values.namespace),
    image,
    given: givenSettings(values, { givesPodCIDRs: work === 'yes' }),
    nodeSelector: labelsIn(values['node-selector'] ?? ''),
    controller: work,
    apiServer: apiServerIn(values['api-server']),
  }
  return { settings, pullTimeoutMs: wholeNumber('pull-timeout', values['pull-timeout']) * 1000 }
}

/** Applies the objects that are wanted, and deletes those that an earlier installation had and this one has not. */
async function bring(
  client: ApiClient,
  namespace: string,
  wanted: readonly Manifest[],
  isDryRun: boolean,
): Promise<void> {
  await applyAll(client, wanted, { isDryRun, say: print })
  const kept = new Set(wanted.map(keyOf))
  const surplus = removableIdentities(namespace).filter((each) => !kept.has(keyOf(each)))
  await removeAll(client, surplus, { isDryRun, say: print })
}

/** Observers replace nothing that pods depend on, so nothing has to be waited for or prepared. */
async function installObservers(values: InstallValues): Promise<number> {
  const wanted = observerManifests(readObserver(values))
  const isDryRun = values['dry-run'] === true
  if (!values.apply && !isDryRun) {
    print(toYaml(wanted))
    return 0
  }
  await using client = await connectTo(values.kubeconfig)
  await applyAll(client, wanted, { isDryRun, say: print })
  return 0
}

export const installCommand: Action = {
  name: 'install',
  summary: 'print what a cluster needs to run Causeway, or apply it',
  needs: '--image IMAGE --cluster-cidrs LIST',
  about: `Prints Kubernetes objects as YAML: an agent for every node, with the least rights it works with, and on demand the controller. docs/install.md says what a cluster must have. With --apply again, it upgrades. With --observer it is for a cluster with another network: docs/other-networks.md.`,
  options: installOptions,
  run: async (args) => {
    const { values, positionals } = options(args, installOptions)
    noMore(positionals)
    if (values.observer) return installObservers(values)
    const { settings, pullTimeoutMs } = readOptions(values)
    const wanted = manifests(settings)
    const isDryRun = values['dry-run'] === true
    if (!values.apply && !isDryRun) {
      print(toYaml(wanted))
      return 0
    }
    await using client = await connectTo(values.kubeconfig)
    const interruption = new Interruption()
    const { signal } = interruption
    try {
      await requireNoPrograms(client, settings)
      if (!isDryRun) {
        await interruption.orStopped(
          awaitDeletions(client, wanted, { timeoutMs: deletionTimeoutMs, clock: systemClock, say: print }),
        )
        await endCleaning(client, settings.namespace)
        if (pullTimeoutMs > 0 && (await isUpgrade(client, settings)))
          await pullFirst(client, settings, { timeoutMs: pullTimeoutMs, clock: systemClock, signal, say: print })
      }
      await interruption.orStopped(bring(client, settings.namespace, wanted, isDryRun))
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error
      process.stderr.write(`${error.message}; the same command again goes on\n`)
      return error.exitStatus
    }
    return 0
  },
}
