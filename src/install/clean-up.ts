// Cleans the nodes before an installation goes: the DaemonSet's agents are replaced by pods that remove what agents made. It is
// the same DaemonSet, so on no node do both run at once.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, sleep } from '#/cluster/clock.ts'
import { fieldsOf, type KubeObject } from '#/model/kubernetes.ts'
import { applyOne, pathOf } from './apply.ts'
import { agentName, type Manifest } from './settings.ts'

const pollMs = 1000

const cleanerName = 'clean'

type DaemonSet = KubeObject & { readonly spec?: unknown; readonly status?: unknown }

function podOf(daemonSet: DaemonSet): Readonly<Record<string, unknown>> {
  return fieldsOf(fieldsOf(fieldsOf(daemonSet.spec)['template'])['spec'])
}

function containersIn(pod: Readonly<Record<string, unknown>>, field: 'containers' | 'initContainers') {
  const containers = pod[field]
  return Array.isArray(containers) ? containers.map(fieldsOf) : []
}

/** The agents' DaemonSet as it is in the cluster, made to clean: its containers, mounts and rights are the agent's own. */
export function cleaningDaemonSet(live: DaemonSet): Manifest {
  const spec = fieldsOf(live.spec)
  const template = fieldsOf(spec['template'])
  const pod = podOf(live)
  const agent = containersIn(pod, 'containers').find(({ name }) => name === 'agent')
  if (agent === undefined) throw new Error(`DaemonSet ${live.metadata.name} has no container "agent": it is no agent's`)
  const { livenessProbe: _liveness, readinessProbe: _readiness, ...container } = agent
  const done = {
    name: 'done',
    image: container['image'],
    command: ['sleep', 'infinity'],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  }
  const { name, namespace = '', labels } = live.metadata
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name, namespace, labels: { ...fieldsOf(labels) } as Record<string, string> },
    spec: {
      selector: spec['selector'],
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '100%' } },
      template: {
        metadata: { labels: fieldsOf(fieldsOf(template['metadata'])['labels']) },
        spec: {
          ...pod,
          initContainers: [{ ...container, name: cleanerName, args: ['clean', '--files'] }],
          containers: [done],
        },
      },
    },
  }
}

type Progress = { readonly wanted: number; readonly done: number; readonly isCurrent: boolean }

function progressOf(live: DaemonSet): Progress {
  const { generation } = fieldsOf(live.metadata)
  const status = fieldsOf(live.status)
  const count = (field: string): number => Number(status[field] ?? 0)
  return {
    wanted: count('desiredNumberScheduled'),
    done: Math.min(count('updatedNumberScheduled'), count('numberReady')),
    isCurrent: count('observedGeneration') >= Number(generation ?? 0),
  }
}

/**
 * Runs the clean-up on every node of the DaemonSet and waits for it; returns how many nodes there were. Throws, naming how far it
 * came, after `timeoutMs`.
 */
export async function cleanNodes(
  client: ApiClient,
  namespace: string,
  options: { readonly timeoutMs: number; readonly clock: Clock },
): Promise<number> {
  const path = pathOf({ apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: agentName, namespace } })
  const live = await client.get<DaemonSet>(path)
  // an earlier try may have begun
  const isCleaning = containersIn(podOf(live), 'initContainers').some(({ name }) => name === cleanerName)
  if (!isCleaning) await applyOne(client, cleaningDaemonSet(live), false)
  const { clock, timeoutMs } = options
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const { signal } = new AbortController()
  for (;;) {
    const { wanted, done, isCurrent } = progressOf(await client.get<DaemonSet>(path))
    if (isCurrent && done >= wanted) return wanted
    if (clock.monotonicMs() >= deadlineMs) {
      const how = isCurrent ? `${done} of ${wanted} nodes are clean` : 'the DaemonSet controller has not acted'
      throw new Error(
        `after ${timeoutMs / 1000} s ${how}; nothing was deleted. See: kubectl -n ${namespace} get pods -o wide. To leave the nodes as they are: --keep-nodes`,
      )
    }
    await sleep(clock, pollMs, signal)
  }
}
