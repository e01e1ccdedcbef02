// Cleans the nodes before an uninstall: the DaemonSet's agents are replaced by pods that remove what agents made. It stays
// the same DaemonSet, so an agent and a clean-up never run on one node at once.
import { type ApiClient } from '#/cluster/client.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { isApiError } from '#/cluster/errors.ts'
import { datapathStateAnnotation } from '#/model/datapath.ts'
import { annotationsOf, formerPodCIDRsAnnotation, type KubeObject } from '#/model/kubernetes.ts'
import { nodePath, nodesPath } from '#/cluster/paths.ts'
import { routingStateAnnotation } from '#/model/routing.ts'
import { containerOf, type DaemonSet, daemonSetPath, isDone, untilReady, type Wait } from './daemonset.ts'
import { agentContainer, agentName } from './settings.ts'

/** How many Node objects are changed at a time. */
const atOnce = 16
const cleaner = 'clean'

function isCleaning(daemonSet: DaemonSet): boolean {
  return containerOf(daemonSet, 'initContainers', cleaner) !== undefined
}

/**
 * A strategic merge patch that makes the agents' DaemonSet clean up, with the mounts and rights that agents have. It is no
 * server-side apply, because the agent's container must go even when others have set fields of it ("kubectl set env").
 */
export function cleaningPatch(live: DaemonSet) {
  const agent = containerOf(live, 'containers', agentContainer)
  if (agent === undefined) throw new Error(`DaemonSet ${live.metadata.name} has no container "agent": it is no agent's`)
  const { startupProbe: _startup, livenessProbe: _liveness, readinessProbe: _readiness, ...own } = agent
  const done = {
    name: 'done',
    image: agent['image'],
    command: ['sleep', 'infinity'],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  }
  const pod = {
    initContainers: [{ ...own, name: cleaner, args: ['clean', '--files'] }],
    containers: [{ name: agentContainer, $patch: 'delete' }, done],
    // "sleep" does not end by a signal, and the namespace waits for these pods
    terminationGracePeriodSeconds: 1,
  }
  const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '100%' } }
  return { spec: { updateStrategy, template: { spec: pod } } }
}

/**
 * Runs the clean-up on every node of the DaemonSet and waits for it; returns how many nodes there were. After `timeoutMs`
 * it throws an error that says how many nodes are done.
 */
export async function cleanNodes(client: ApiClient, namespace: string, options: Wait): Promise<number> {
  const path = daemonSetPath(namespace, agentName)
  const live = await client.get<DaemonSet>(path)
  // an earlier try may have patched it already
  if (!isCleaning(live)) await client.patch(path, cleaningPatch(live), 'strategic')
  const progress = await untilReady(client, path, options)
  const { wanted, done, isCurrent } = progress
  if (isDone(progress)) return wanted
  const how = isCurrent ? `${done} of ${wanted} nodes are clean` : 'the DaemonSet controller has not acted'
  throw new Error(
    `after ${options.timeoutMs / 1000} s ${how}; nothing was deleted. See: kubectl -n ${namespace} get pods -o wide. To leave the nodes as they are: --keep-nodes`,
  )
}

/** The annotations by which agents tell of their nodes. */
const published = [routingStateAnnotation, datapathStateAnnotation, formerPodCIDRsAnnotation]

/** Removes what agents published about their nodes: a later installation would take it for the nodes' current state. */
export async function forgetRouting(client: ApiClient): Promise<void> {
  const { items } = await client.list<KubeObject>(nodesPath(), { keep: ({ metadata }) => ({ metadata }) })
  const told = items.filter((node) => published.some((name) => name in annotationsOf(node)))
  const patch = { metadata: { annotations: Object.fromEntries(published.map((name) => [name, null])) } }
  await eachOf(told, atOnce, async ({ metadata }) => {
    try {
      await client.patch(nodePath(metadata.name), patch, 'merge')
    } catch (error) {
      // the node is gone meanwhile
      if (!isApiError(error, 404)) throw error
    }
  })
}

/** Deletes a DaemonSet that an uninstall left cleaning, so that one with agents can be applied: on its nodes no agent runs. */
export async function endCleaning(client: ApiClient, namespace: string): Promise<void> {
  const path = daemonSetPath(namespace, agentName)
  try {
    if (isCleaning(await client.get<DaemonSet>(path))) await client.delete(path)
  } catch (error) {
    if (!isApiError(error, 404)) throw error
  }
}
