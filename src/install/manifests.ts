// All objects of an installation, in the order in which they are applied; they are deleted in reverse order. Pure.
import { agentAccess, controllerAccess } from './access.ts'
import { agentDaemonSet } from './agent.ts'
import { controllerDeployment } from './controller.ts'
import { definitions } from './definitions/index.ts'
import { type InstallSettings, labelsOf, type Manifest } from './settings.ts'

/** Namespaces that belong to the cluster: an installation neither makes nor deletes them. */
const clusterNamespaces: readonly string[] = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

function namespaceOf(name: string): Manifest[] {
  if (clusterNamespaces.includes(name)) return []
  const labels = {
    ...labelsOf('causeway'),
    // agents use their node's network and mount folders of the node
    'pod-security.kubernetes.io/enforce': 'privileged',
  }
  return [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]
}

export function manifests(settings: InstallSettings): Manifest[] {
  const { namespace, hasController } = settings
  return [
    ...definitions,
    ...namespaceOf(namespace),
    ...agentAccess(namespace),
    ...(hasController ? controllerAccess(namespace) : []),
    agentDaemonSet(settings),
    ...(hasController ? [controllerDeployment(settings)] : []),
  ]
}

/** Kind, namespace and name of every object that an installation in this namespace may have, and nothing else of them. */
export function allIdentities(namespace: string): Manifest[] {
  const nothingGiven = { image: '', given: {}, nodeSelector: {}, apiServer: undefined }
  return manifests({ namespace, ...nothingGiven, hasController: true }).map(
    ({ apiVersion, kind, metadata: { name, namespace: where } }) => ({
      apiVersion,
      kind,
      metadata: { name, ...(where !== undefined && { namespace: where }) },
    }),
  )
}

/** A key that is the same for the same object: kind, namespace and name. */
export function keyOf({ kind, metadata: { namespace = '', name } }: Manifest): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`
}
