// Has every node pull the image of an upgrade before the first agent is replaced. A node is then without its agent for a moment instead
// of for as long as its pull takes, and an image that cannot be pulled stops the upgrade while all agents still run.
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { podsPath } from '#/cluster/paths.ts'
import { fieldsOf, type KubeObject } from '#/model/kubernetes.ts'
import { fewOf } from '#/model/status-conditions.ts'
import { applyAll, removeAll } from './apply.ts'
import { containerOf, type DaemonSet, daemonSetPath, isDone, untilReady, type Wait } from './daemonset.ts'
import { pullerDaemonSet } from './puller.ts'
import { agentContainer, agentName, type InstallSettings, pullerName } from './settings.ts'

/** Reasons of a waiting container that are about its image (kubelet, pkg/kubelet/images/types.go). */
const imageReasons: readonly unknown[] = [
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'RegistryUnavailable',
  'SignatureValidationFailed',
]

/** Whether agents of another image run, so that their nodes may have to pull this one. */
export async function isUpgrade(client: ApiClient, { namespace, image }: InstallSettings): Promise<boolean> {
  try {
    const live = await client.get<DaemonSet>(daemonSetPath(namespace, agentName))
    const agent = containerOf(live, 'containers', agentContainer)
    return agent !== undefined && agent['image'] !== image
  } catch (error) {
    if (isApiError(error, 404)) return false
    throw error
  }
}

type PullerPod = KubeObject & { readonly spec?: unknown; readonly status?: unknown }

/** A node that has not pulled the image, and why. `isRefused`: the image itself is the reason. */
type Late = { readonly node: string; readonly why: string; readonly isRefused: boolean }

function lateOf({ spec, status }: PullerPod): Late[] {
  const { nodeName } = fieldsOf(spec)
  const node = typeof nodeName === 'string' ? nodeName : 'a node that is not chosen yet'
  const { containerStatuses, phase } = fieldsOf(status)
  const [first] = Array.isArray(containerStatuses) ? containerStatuses.map(fieldsOf) : []
  if (first?.['ready'] === true) return []
  const { reason, message } = fieldsOf(fieldsOf(first?.['state'])['waiting'])
  const said = [reason, message].filter((each) => typeof each === 'string' && each !== '').join(': ')
  return [
    {
      node,
      why: said === '' ? (typeof phase === 'string' ? phase : 'Pending') : said,
      isRefused: imageReasons.includes(reason),
    },
  ]
}

function listed(late: readonly Late[]): string {
  return fewOf(late.map(({ node, why }) => `${node} (${why})`))
}

async function lateNodes(client: ApiClient, namespace: string): Promise<Late[]> {
  const labelSelector = `app.kubernetes.io/name=${pullerName}`
  const { items } = await client.list<PullerPod>(podsPath(namespace), { labelSelector })
  return items.flatMap(lateOf).toSorted((a, b) => a.node.localeCompare(b.node))
}

/**
 * Waits until all nodes of the agents have the image, for `timeoutMs` at most. Throws when a node cannot pull it: nothing of the
 * installation has been changed then. A node that tells nothing, such as one that is down, does not stop the upgrade; it is named.
 */
export async function pullFirst(
  client: ApiClient,
  settings: InstallSettings,
  { say, ...wait }: Wait & { readonly say: (line: string) => void },
): Promise<void> {
  const { namespace, image } = settings
  const puller = pullerDaemonSet(settings)
  const quiet = { isDryRun: false, say: () => {} }
  await applyAll(client, [puller], quiet)
  try {
    const progress = await untilReady(client, daemonSetPath(namespace, pullerName), wait)
    wait.signal?.throwIfAborted()
    if (isDone(progress)) return say(`${progress.wanted} nodes have pulled ${image}`)
    const late = await lateNodes(client, namespace)
    const refused = late.filter(({ isRefused }) => isRefused)
    if (refused.length > 0)
      throw new Error(
        `after ${wait.timeoutMs / 1000} s ${image} cannot be pulled on ${listed(refused)}; nothing was changed. With --pull-timeout 0 no node pulls it first`,
      )
    say(
      progress.isCurrent
        ? `${progress.done} of ${progress.wanted} nodes have pulled ${image}; not yet: ${listed(late)}`
        : `no node has pulled ${image} first: the DaemonSet controller has not acted`,
    )
  } finally {
    await removeAll(client, [puller], quiet)
  }
}
