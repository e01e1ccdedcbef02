// Does the scheduler's writing: binds a pod to the node that was chosen, or says on the pod why there is none.
import { type ApiClient } from '#/cluster/client.ts'
import { EventRecorder } from '#/cluster/event-recorder.ts'
import { podPath, podStatusPath } from '#/cluster/paths.ts'
import { type Logger } from '#/lib/log.ts'
import { conditionOf, type Pod, referenceTo } from '#/model/kubernetes.ts'
import { unschedulableStatus } from './kubelet-objects.ts'

export class LabScheduler {
  readonly #client: ApiClient
  readonly #events: EventRecorder

  constructor(options: { lab: string }, deps: { readonly client: ApiClient; readonly log: Logger }) {
    this.#client = deps.client
    this.#events = new EventRecorder({ component: 'lab-scheduler', instance: options.lab }, deps)
  }

  async bind(pod: Pod, node: string): Promise<void> {
    const { namespace = 'default', name } = pod.metadata
    await this.#client.act(`${podPath(namespace, name)}/binding`, {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    })
  }

  /** Says why no node will do, in the pod's status and in an Event; nothing when that is what the status says already. */
  async tellUnschedulable(pod: Pod, message: string): Promise<void> {
    if (conditionOf(pod, 'PodScheduled').message === message) return
    const { namespace = 'default', name } = pod.metadata
    await this.#client.patch(podStatusPath(namespace, name), { status: unschedulableStatus(message) }, 'strategic')
    this.#events.record(referenceTo('v1', 'Pod', pod), 'Warning', 'FailedScheduling', message)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#events[Symbol.asyncDispose]()
  }
}
