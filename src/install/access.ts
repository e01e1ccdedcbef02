// Service accounts of agent and controller, and the least rights they need. A test records which requests they really make.
import { group } from './definitions/definition.ts'
import { agentName, controllerName, labelsOf, type Manifest, observerName } from './settings.ts'

const rbac = 'rbac.authorization.k8s.io'

type Rule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}

/** The namespace of events about nodes, which themselves have no namespace. */
const nodeEventsNamespace = 'default'
const eventRules: readonly Rule[] = [{ apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }]

/** Makes a role, of the whole cluster or of `namespace` if given, and the binding that gives it to the account. */
export function grant(
  holder: { name: string; namespace: string },
  rules: readonly Rule[],
  namespace?: string,
): Manifest[] {
  const { name } = holder
  const prefix = namespace === undefined ? 'Cluster' : ''
  const metadata = { name, ...(namespace !== undefined && { namespace }), labels: labelsOf(name) }
  const apiVersion = `${rbac}/v1`
  return [
    { apiVersion, kind: `${prefix}Role`, metadata, rules },
    {
      apiVersion,
      kind: `${prefix}RoleBinding`,
      metadata,
      roleRef: { apiGroup: rbac, kind: `${prefix}Role`, name },
      subjects: [{ kind: 'ServiceAccount', ...holder }],
    },
  ]
}

export function account(name: string, namespace: string): Manifest {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace, labels: labelsOf(name) } }
}

/**
 * Secrets with passwords of BGP sessions: BGPPeers name them, so agents may read any Secret here by name, but
 * cannot list Secrets.
 */
const passwordRules: readonly Rule[] = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }]

/** The role that an installation brings for who may ask agents. Nobody has it before somebody binds it, in the namespace of the agents. */
export const operatorRole = 'causeway-operator'

/**
 * What the command line asks for (docs/cluster-access.md). A WebSocket is opened by a GET, and since Kubernetes 1.35 the API server wants the
 * right to create as well.
 */
export function operatorAccess(): Manifest {
  return {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: operatorRole, labels: labelsOf('causeway') },
    rules: [
      { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
      { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
      { apiGroups: ['apps'], resources: ['daemonsets'], resourceNames: [agentName, observerName], verbs: ['get'] },
    ] satisfies Rule[],
  }
}

export function agentAccess(namespace: string): Manifest[] {
  const who = { name: agentName, namespace }
  const own = { apiGroups: [group] }
  const inNamespaces =
    namespace === nodeEventsNamespace
      ? grant(who, [...eventRules, ...passwordRules], namespace)
      : [...grant(who, passwordRules, namespace), ...grant(who, eventRules, nodeEventsNamespace)]
  return [
    account(agentName, namespace),
    ...grant(who, [
      { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
      { apiGroups: [''], resources: ['nodes/status'], verbs: ['patch'] },
      // what network policies are made of, and whom they select
      { apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['list', 'watch'] },
      { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['list', 'watch'] },
      { apiGroups: ['policy.networking.k8s.io'], resources: ['clusternetworkpolicies'], verbs: ['list', 'watch'] },
      { ...own, resources: ['routings', 'bgpconfigurations', 'bgppeers', 'bgpnodes'], verbs: ['list', 'watch'] },
      // RBAC cannot narrow these to the agent's own node
      { ...own, resources: ['bgpnodes'], verbs: ['create'] },
      { ...own, resources: ['bgpnodes/status'], verbs: ['patch'] },
    ]),
    ...inNamespaces,
  ]
}

/** With `givesPodCIDRs` the controller may write Node objects as well. */
export function controllerAccess(
  namespace: string,
  { givesPodCIDRs }: { readonly givesPodCIDRs: boolean },
): Manifest[] {
  const who = { name: controllerName, namespace }
  const own = { apiGroups: [group] }
  const leases = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] }
  const leaseRules = [
    // RBAC cannot limit a create to a name
    { ...leases, verbs: ['create'] },
    { ...leases, resourceNames: ['causeway-controller'], verbs: ['get', 'update'] },
  ]
  return [
    account(controllerName, namespace),
    ...grant(who, [
      { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch', ...(givesPodCIDRs ? ['get', 'patch'] : [])] },
      { ...own, resources: ['routings', 'bgpconfigurations', 'bgppeers', 'bgpnodes'], verbs: ['list', 'watch'] },
      { ...own, resources: ['routings/status', 'bgpconfigurations/status', 'bgppeers/status'], verbs: ['patch'] },
      { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['list', 'watch'] },
      { apiGroups: ['policy.networking.k8s.io'], resources: ['clusternetworkpolicies'], verbs: ['list', 'watch'] },
      // the event of a policy is in the policy's namespace, which may be any
      ...eventRules,
    ]),
    ...grant(who, leaseRules, namespace),
  ]
}
