// Applies manifests to a cluster and deletes them again. Server-side apply keeps the fields that others have set.
import { type ApiClient } from '#/cluster/client.ts'
import { isApiError } from '#/cluster/errors.ts'
import { keyOf, type Manifest } from './settings.ts'

const fieldManager = 'causeway-install'

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
