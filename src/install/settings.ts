// The settings of an installation on a cluster, and the names that follow from them.
import { type ContainerVariable } from '#/settings/passing.ts'
import { type Environment } from '#/settings/setting.ts'

export const controllerWorks = ['yes', 'status', 'no'] as const
export type ControllerWork = (typeof controllerWorks)[number]

export type InstallSettings = {
  readonly namespace: string
  readonly image: string
  /** The given settings of agent and controller, by their variables (src/settings). */
  readonly given: Environment
  /** Labels that a node needs to get an agent, besides running Linux. */
  readonly nodeSelector: Readonly<Record<string, string>>
  /**
   * What our controller does: `yes` gives nodes their pod CIDRs, only where kube-controller-manager does not, and writes the status of
   * objects; `status` does only the latter; with `no` there is none.
   */
  readonly controller: ControllerWork
  /** Absent to use the cluster's own service, which needs a service proxy. */
  readonly apiServer: { readonly host: string; readonly port: string } | undefined
}

/** The variables that tell a Kubernetes client in a pod where the API is, for pods that do not use the cluster's own service. */
export function apiServerVariables({ apiServer }: Pick<InstallSettings, 'apiServer'>): ContainerVariable[] {
  if (apiServer === undefined) return []
  return [
    { name: 'KUBERNETES_SERVICE_HOST', value: apiServer.host },
    { name: 'KUBERNETES_SERVICE_PORT', value: apiServer.port },
  ]
}

export const agentName = 'causeway-agent'
export const observerName = 'causeway-observer'
/** The container with the agent, or the observer, in its pods. */
export const agentContainer = 'agent'
export const controllerName = 'causeway-controller'
export const pullerName = 'causeway-pull'

/** An object as it is printed and sent, without the fields that the API adds. */
export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

/** A key that is the same for the same object: kind, namespace and name. */
export function keyOf({ kind, metadata: { namespace = '', name } }: Manifest): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`
}

export function labelsOf(component: string): Record<string, string> {
  return { 'app.kubernetes.io/name': component, 'app.kubernetes.io/part-of': 'causeway' }
}

/** Kind, namespace and name of an object, and nothing else of it. */
export function identityOf({ apiVersion, kind, metadata: { name, namespace } }: Manifest): Manifest {
  return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }) } }
}

/** Namespaces that belong to the cluster: an installation neither makes nor deletes them. */
const clusterNamespaces: readonly string[] = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

/** The object of the namespace of an installation; none for one that belongs to the cluster. */
export function namespaceOf(name: string): Manifest[] {
  if (clusterNamespaces.includes(name)) return []
  const labels = {
    ...labelsOf('causeway'),
    // agents use their node's network and mount folders of the node
    'pod-security.kubernetes.io/enforce': 'privileged',
  }
  return [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]
}

/** The securityContext of a container that needs no right on its node. */
export const unprivileged = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  runAsUser: 65_534,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
}
