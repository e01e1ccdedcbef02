// Applies manifests to a cluster and deletes them again. Server-side apply keeps the fields that others have set.
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock, sleep } from '#/cluster/clock.ts'
import { eachOf } from '#/cluster/each-of.ts'
import { isApiError } from '#/cluster/errors.ts'
import { someOf } from '#/lib/some-of.ts'
import { keyOf, type Manifest } from './settings.ts'

const fieldManager = 'causeway-install'
const pollMs = 500
/** How many objects are asked for at a time. */
const atOnce = 8

/** Path segments of the kinds that an installation has. */
const plurals: Readonly<Record<string, string>> = {
  CustomResourceDefinition: 'customresourcedefinitions',
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  DaemonSet: 'daemonsets',
  Deployment: 'deployments',
}

export function pathOf({ apiVersion, kind, metadata: { name, namespace } }: Manifest): string {
  const plural = plurals[kind]
  if (plural === undefined) throw new Error(`no path is known for objects of kind ${kind}`)
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  return `${group}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}/${name}`
}

export type ApplyOptions = {
  /** Whether the API only checks the objects and answers, without storing anything. */
  readonly isDryRun: boolean
  readonly say: (line: string) => void
}

/** Applies all objects in order; throws the API's error at the first one that it refuses. */
export async function applyAll(client: ApiClient, wanted: readonly Manifest[], options: ApplyOptions): Promise<void> {
  const query = { fieldManager, force: 'true', ...(options.isDryRun && { dryRun: 'All' }) }
  for (const manifest of wanted) {
    try {
      await client.patch(pathOf(manifest), manifest, 'apply', query)
      options.say(`${keyOf(manifest)} ${options.isDryRun ? 'would be applied' : 'applied'}`)
    } catch (error) {
      if (!options.isDryRun || !isApiError(error, 404)) throw error
      options.say(`${keyOf(manifest)} not checked: namespace ${manifest.metadata.namespace ?? ''} is not there yet`)
    }
  }
}

export type WaitOptions = {
  readonly timeoutMs: number
  readonly clock: Clock
  readonly say: (line: string) => void
}

/**
 * Waits until none of the objects is being deleted any more: nothing can be put into a namespace that goes, and what is applied to a
 * definition that goes, goes with it. After `timeoutMs` it throws an error that names what is left.
 */
export async function awaitDeletions(
  client: ApiClient,
  manifests: readonly Manifest[],
  { timeoutMs, clock, say }: WaitOptions,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const { signal } = new AbortController()
  let going = manifests
  for (let turn = 0; ; turn++) {
    const still = await eachOf(going, atOnce, (manifest) => isBeingDeleted(client, manifest))
    going = going.filter((_, index) => still[index])
    if (going.length === 0) return
    const names = someOf(going.map(keyOf))
    if (turn === 0) say(`waiting until ${names} ${going.length === 1 ? 'is' : 'are'} gone`)
    if (clock.monotonicMs() >= deadlineMs)
      throw new Error(
        `after ${timeoutMs / 1000} s still being deleted: ${names}; "kubectl get … -o yaml" shows in metadata.finalizers and status.conditions what holds it`,
      )
    await sleep(clock, pollMs, signal)
  }
}

async function isBeingDeleted(client: ApiClient, manifest: Manifest): Promise<boolean> {
  try {
    return (await client.get(pathOf(manifest))).metadata.deletionTimestamp !== undefined
  } catch (error) {
    if (isApiError(error, 404)) return false
    throw error
  }
}

/** Deletes all objects in reverse order; one that is not there is skipped. */
export async function removeAll(client: ApiClient, gone: readonly Manifest[], options: ApplyOptions): Promise<void> {
  const query = { propagationPolicy: 'Background', ...(options.isDryRun && { dryRun: 'All' }) }
  for (const manifest of gone.toReversed()) {
    try {
      await client.delete(pathOf(manifest), { query })
      options.say(`${keyOf(manifest)} ${options.isDryRun ? 'would be deleted' : 'deleted'}`)
    } catch (error) {
      if (!isApiError(error, 404)) throw error
    }
  }
}
