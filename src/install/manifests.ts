// All objects of an installation, in the order in which they are applied; they are deleted in reverse order. Pure.
import { agentAccess, controllerAccess, operatorAccess } from './access.ts'
import { agentDaemonSet } from './agent.ts'
import { controllerDeployment } from './controller.ts'
import { definitions } from './definitions/index.ts'
import { pullerDaemonSet } from './puller.ts'
import { identityOf, type InstallSettings, type Manifest, namespaceOf } from './settings.ts'

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

/** Kind, namespace and name of every object that an installation in this namespace may have, and nothing else of them. */
export function allIdentities(namespace: string): Manifest[] {
  return manifests({ namespace, ...anything }).map(identityOf)
}

/** Those of allIdentities, and of what an upgrade that was killed leaves behind. */
export function removableIdentities(namespace: string): Manifest[] {
  return [...allIdentities(namespace), identityOf(pullerDaemonSet({ namespace, ...anything }))]
}
