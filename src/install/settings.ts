// What an installation on a cluster can be told, and the names that follow.
import { type ContainerVariable } from '#/settings/passing.ts'
import { type Environment } from '#/settings/setting.ts'

export type InstallSettings = {
  readonly namespace: string
  readonly image: string
  /** What was said of the settings of agent and controller, by their variables (src/settings). */
  readonly given: Environment
  /** Labels of the nodes that get an agent, beside that they run Linux. */
  readonly nodeSelector: Readonly<Record<string, string>>
  /** Whether our controller gives nodes their pod CIDRs; only where kube-controller-manager does not. */
  readonly hasController: boolean
  /** Absent: the cluster's own service, which needs a service proxy. */
  readonly apiServer: { readonly host: string; readonly port: string } | undefined
}

/** The variables by which a Kubernetes client in a pod finds the API, where it is not to use the cluster's own service. */
export function apiServerVariables({ apiServer }: InstallSettings): ContainerVariable[] {
  if (apiServer === undefined) return []
  return [
    { name: 'KUBERNETES_SERVICE_HOST', value: apiServer.host },
    { name: 'KUBERNETES_SERVICE_PORT', value: apiServer.port },
  ]
}

export const agentName = 'causeway-agent'
export const controllerName = 'causeway-controller'

/** An object as it is printed and sent: what the API adds to it is not here. */
export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

export function labelsOf(component: string): Record<string, string> {
  return { 'app.kubernetes.io/name': component, 'app.kubernetes.io/part-of': 'causeway' }
}
