// `causeway uninstall`: the objects of an installation, printed or deleted, and the nodes cleaned.
import { type ApiClient } from '#/cluster/client.ts'
import { systemClock } from '#/cluster/clock.ts'
import { isApiError } from '#/cluster/errors.ts'
import { daemonSetPath } from '#/cluster/paths.ts'
import { awaitDeletions, removeAll } from '#/install/apply.ts'
import { cleanNodes, forgetRouting } from '#/install/clean-up.ts'
import { drainBgp, undoDrain } from '#/install/drain.ts'
import { allIdentities, removableIdentities } from '#/install/manifests.ts'
import { observerIdentities, sharedIdentities } from '#/install/observer.ts'
import { agentName } from '#/install/settings.ts'
import { noMore, options, type OptionTable, type Values, wholeNumber } from './args.ts'
import { clusterOptions, connectTo, namespaceIn, toYaml } from './cluster-options.ts'
import { type Action } from './command.ts'
import { print } from './output.ts'

/** How long nodes may take to withdraw their routes: an agent that runs needs a second. */
const drainTimeoutMs = 15_000

const uninstallOptions = {
  observer: { type: 'boolean', help: 'only what "install --observer" has brought' },
  'keep-nodes': { type: 'boolean', help: 'only delete the objects: forwarding on the nodes goes on' },
  timeout: { type: 'string', value: 'SECONDS', default: '300', help: 'how long to wait for the nodes' },
  ...clusterOptions,
} as const satisfies OptionTable

type Wish = { readonly namespace: string; readonly timeoutMs: number; readonly isDryRun: boolean }

/** Observers leave nothing on nodes. What they share with an installation of Causeway stays where there is one. */
async function uninstallObservers(
  { apply, kubeconfig }: Values<typeof uninstallOptions>,
  { namespace, timeoutMs, isDryRun }: Wish,
): Promise<number> {
  const own = observerIdentities(namespace)
  if (!apply && !isDryRun) {
    print(toYaml(own.toReversed()))
    return 0
  }
  await using client = await connectTo(kubeconfig)
  const shared = (await hasAgents(client, namespace)) ? [] : sharedIdentities(namespace)
  const gone = [...shared, ...own]
  await removeAll(client, gone, { isDryRun, say: print })
  if (!isDryRun) await awaitDeletions(client, gone, { timeoutMs, clock: systemClock, say: print })
  return 0
}

async function hasAgents(client: ApiClient, namespace: string): Promise<boolean> {
  try {
    await client.get(daemonSetPath(namespace, agentName))
    return true
  } catch (error) {
    if (isApiError(error, 404)) return false
    throw error
  }
}

export const uninstallCommand: Action = {
  name: 'uninstall',
  summary: 'print what to delete from a cluster, or delete it and clean the nodes',
  about: `Prints the objects of an installation, for "kubectl delete -f -", which leaves the nodes as they are. With --apply it first has the nodes withdraw their routes from BGP, then runs "causeway clean --files" on every node in place of the agent, waits for all, and then deletes the objects. Pods that run then lose their network: drain the nodes before, or delete the pods once another network is there.`,
  options: uninstallOptions,
  run: async (args) => {
    const { values, positionals } = options(args, uninstallOptions)
    noMore(positionals)
    const namespace = namespaceIn(values.namespace)
    const timeoutMs = wholeNumber('timeout', values.timeout) * 1000
    const isDryRun = values['dry-run'] === true
    if (values.observer) return uninstallObservers(values, { namespace, timeoutMs, isDryRun })
    if (!values.apply && !isDryRun) {
      print(toYaml(allIdentities(namespace).toReversed()))
      return 0
    }
    await using client = await connectTo(values.kubeconfig)
    if (!isDryRun && !values['keep-nodes']) {
      const { drained, late, changed } = await drainBgp(client, { timeoutMs: drainTimeoutMs, clock: systemClock })
      if (drained > 0) print(`${drained} nodes have withdrawn their routes from BGP (spec.drained of their BGPNodes)`)
      if (late.length > 0)
        print(`${late.join(', ')}: routes not withdrawn in time; routers drop them when their restart time is over`)
      try {
        const nodes = await cleanNodes(client, namespace, { timeoutMs, clock: systemClock })
        print(`${nodes} nodes cleaned`)
      } catch (error) {
        // without a DaemonSet nothing runs on the nodes, so the other objects can be deleted
        if (!isApiError(error, 404)) {
          if (changed.length > 0) print(await undoDrain(client, changed))
          throw error
        }
        print(`no agents in namespace ${namespace}: no node was cleaned`)
      }
      await forgetRouting(client)
    }
    const gone = [...removableIdentities(namespace), ...observerIdentities(namespace)]
    await removeAll(client, gone, { isDryRun, say: print })
    if (!isDryRun) await awaitDeletions(client, gone, { timeoutMs, clock: systemClock, say: print })
    return 0
  },
}
