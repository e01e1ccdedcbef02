// What an installation on a cluster can be told, and the names that follow.

export type InstallSettings = {
  readonly namespace: string
  readonly image: string
  /** CIDRs of all pods. */
  readonly clusterCIDRs: readonly string[]
  readonly vni: number
  readonly vxlanPort: number
  /** Where agents serve health and metrics on their node. */
  readonly httpPort: number
  /** The container runtime's folders on each node. */
  readonly cniBinDir: string
  readonly cniConfDir: string
  /** Absent: the agent's own choice. */
  readonly cniChain: string | undefined
  /** Settings of the agent that have no option of their own, by their variables. */
  readonly agentSettings: Readonly<Record<string, string>>
  /** Labels of the nodes that get an agent, beside that they run Linux. */
  readonly nodeSelector: Readonly<Record<string, string>>
  /** Whether our controller gives nodes their pod CIDRs; only where kube-controller-manager does not. */
  readonly hasController: boolean
  /** Lengths of a node's CIDRs; absent: the controller's own defaults. */
  readonly nodeMaskSizes: { readonly 4: string | undefined; readonly 6: string | undefined }
  /** Absent: the cluster's own service, which needs a service proxy. */
  readonly apiServer: { readonly host: string; readonly port: string } | undefined
}

/** What `--set` takes. */
export const agentSettingNames: readonly string[] = [
  'CAUSEWAY_ROUTING',
  'CAUSEWAY_MTU',
  'CAUSEWAY_FORWARD_CHAINS',
  'CAUSEWAY_FLANNEL_INTEROP',
  'CAUSEWAY_ADDRESS_COOLDOWN_S',
  'CAUSEWAY_LOG_LEVEL',
]

export const defaultSettings = {
  namespace: 'causeway-system',
  vni: 1,
  vxlanPort: 8472,
  httpPort: 9474,
  cniBinDir: '/opt/cni/bin',
  cniConfDir: '/etc/cni/net.d',
} as const

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
