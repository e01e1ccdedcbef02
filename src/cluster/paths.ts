// Paths of the API resources that Causeway uses ("API groups and versioning" of the Kubernetes API reference).

const segment = encodeURIComponent

export const nodesPath = (): string => '/api/v1/nodes'
export const nodePath = (name: string): string => `/api/v1/nodes/${segment(name)}`
export const nodeStatusPath = (name: string): string => `${nodePath(name)}/status`

export const namespacesPath = (): string => '/api/v1/namespaces'
export const namespacePath = (name: string): string => `/api/v1/namespaces/${segment(name)}`

/** The path of the pods of one namespace, or of all namespaces when none is given. */
export const podsPath = (namespace?: string): string =>
  namespace === undefined ? '/api/v1/pods' : `${namespacePath(namespace)}/pods`
export const podPath = (namespace: string, name: string): string => `${podsPath(namespace)}/${segment(name)}`
export const podStatusPath = (namespace: string, name: string): string => `${podPath(namespace, name)}/status`

/** The path that executes a command in a container, with its standard input, output and error. */
export function execPath(target: {
  readonly namespace: string
  readonly pod: string
  readonly container: string
  readonly command: readonly string[]
}): string {
  const { namespace, pod, container, command } = target
  const streams = ['stdin', 'stdout', 'stderr'].map((name) => [name, 'true'])
  const query = new URLSearchParams([['container', container], ...command.map((word) => ['command', word]), ...streams])
  return `${podPath(namespace, pod)}/exec?${query}`
}

export const eventsPath = (namespace: string): string => `${namespacePath(namespace)}/events`
export const eventPath = (namespace: string, name: string): string => `${eventsPath(namespace)}/${segment(name)}`

export const leasesPath = (namespace: string): string =>
  `/apis/coordination.k8s.io/v1/namespaces/${segment(namespace)}/leases`
export const leasePath = (namespace: string, name: string): string => `${leasesPath(namespace)}/${segment(name)}`

/** The path of the NetworkPolicies of one namespace, or of all namespaces when none is given. */
export const networkPoliciesPath = (namespace?: string): string =>
  namespace === undefined
    ? '/apis/networking.k8s.io/v1/networkpolicies'
    : `/apis/networking.k8s.io/v1/namespaces/${segment(namespace)}/networkpolicies`

/** Of the group's standard channel; where the cluster's API does not define them there are none. */
export const clusterNetworkPoliciesPath = (): string => '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies'

export const servicesPath = (): string => '/api/v1/services'
export const servicesIn = (namespace: string): string => `${namespacePath(namespace)}/services`
export const servicePath = (namespace: string, name: string): string => `${servicesIn(namespace)}/${segment(name)}`
export const endpointSlicesPath = (namespace: string): string =>
  `/apis/discovery.k8s.io/v1/namespaces/${segment(namespace)}/endpointslices`

export const daemonSetPath = (namespace: string, name: string): string =>
  `/apis/apps/v1/namespaces/${segment(namespace)}/daemonsets/${segment(name)}`

export const secretPath = (namespace: string, name: string): string =>
  `${namespacePath(namespace)}/secrets/${segment(name)}`

const causewayPath = '/apis/causeway.dev/v1alpha1'
export const routingsPath = (): string => `${causewayPath}/routings`
export const bgpConfigurationsPath = (): string => `${causewayPath}/bgpconfigurations`
export const bgpPeersPath = (): string => `${causewayPath}/bgppeers`
export const bgpNodesPath = (): string => `${causewayPath}/bgpnodes`
export const bgpNodePath = (name: string): string => `${bgpNodesPath()}/${segment(name)}`
export const bgpNodeStatusPath = (name: string): string => `${bgpNodePath(name)}/status`
