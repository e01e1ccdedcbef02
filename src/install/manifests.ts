// All objects of an installation, in the order in which they are applied; they are deleted in reverse order. Pure.
import { agentAccess, controllerAccess, operatorAccess } from './access.ts'
import { agentDaemonSet } from './agent.ts'
import { controllerDeployment } from './controller.ts'
import { definitions } from './definitions/index.ts'
import { pullerDaemonSet } from './puller.ts'
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
  const { namespace, controller } = settings
  const hasController = controller !== 'no'
  return [
    ...definitions,
    ...namespaceOf(namespace),
    ...agentAccess(namespace),
    operatorAccess(),
    ...(hasController ? controllerAccess(namespace, { givesPodCIDRs: controller === 'yes' }) : []),
    agentDaemonSet(settings),
    ...(hasController ? [controllerDeployment(settings)] : []),
  ]
}

const anything = { image: '', given: {}, nodeSelector: {}, apiServer: undefined, controller: 'yes' } as const

function identityOf({ apiVersion, kind, metadata: { name, namespace } }: Manifest): Manifest {
  return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }) } }
}

/** Kind, namespace and name of every object that an installation in this namespace may have, and nothing else of them. */
export function allIdentities(namespace: string): Manifest[] {
  return manifests({ namespace, ...anything }).map(identityOf)
}

/** Those of allIdentities, and of what an upgrade that was killed leaves behind. */
export function removableIdentities(namespace: string): Manifest[] {
  return [...allIdentities(namespace), identityOf(pullerDaemonSet({ namespace, ...anything }))]
}
