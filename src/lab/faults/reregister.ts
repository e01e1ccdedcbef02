// A node that is registered anew with other pod CIDRs. The API lets nobody change those of a Node object, so it is deleted and created, as
// when an administrator deletes it and restarts the kubelet. The lab's kubelet is halted meanwhile: in a cluster the pods of a Node object
// that is missing for a moment go on as well.
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { nodePath, nodesPath } from '#/cluster/paths.ts'
import { nodeObject } from '../kubelet-objects.ts'
import { signalProcesses } from '../processes.ts'
import { kubeletRole } from '../roles.ts'
import { labNodes, type LabSpec } from '../spec.ts'

export type Registration = {
  readonly node: string
  readonly cidrs: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}

/** Throws ApiError. Done again after an interruption it ends in the same state. */
export async function reregister(
  client: ApiClient,
  spec: LabSpec,
  { node, cidrs, labels }: Registration,
): Promise<void> {
  const registered = nodeObject(labNodes(spec).find(({ name }) => name === node)!)
  const { metadata } = registered
  signalProcesses(spec.name, (role) => role === kubeletRole, 'SIGSTOP')
  try {
    try {
      await client.delete(nodePath(node))
    } catch (error) {
      if (!isApiError(error, 404)) throw error
    }
    const ranges = { podCIDR: cidrs[0], podCIDRs: cidrs }
    await client.create(nodesPath(), { ...registered, metadata: { ...metadata, labels }, spec: ranges })
  } finally {
    signalProcesses(spec.name, (role) => role === kubeletRole, 'SIGCONT')
  }
}
