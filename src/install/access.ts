// Identities, and the least rights with which agent and controller work. A test records what they really ask for.
import { group } from './definitions/definition.ts'
import { agentName, controllerName, labelsOf, type Manifest } from './settings.ts'

const rbac = 'rbac.authorization.k8s.io'

type Rule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}

/** Events about nodes, which have no namespace, live in this one. */
const nodeEventsNamespace = 'default'
const eventRules: readonly Rule[] = [{ apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }]

/** A role of the cluster without `namespace`, else one of that namespace; and the binding that gives it to the account. */
function grant(holder: { name: string; namespace: string }, rules: readonly Rule[], namespace?: string): Manifest[] {
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

function account(name: string, namespace: string): Manifest {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace, labels: labelsOf(name) } }
}

/**
 * Passwords of BGP sessions: which Secrets they are in is for BGPPeers to say. Agents get those that they are told of by name, and
 * cannot list what others there are.
 */
const passwordRules: readonly Rule[] = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }]

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
      { ...own, resources: ['routings', 'bgpconfigurations', 'bgppeers', 'bgpnodes'], verbs: ['list', 'watch'] },
      // RBAC cannot narrow these to the agent's own node
      { ...own, resources: ['bgpnodes'], verbs: ['create'] },
      { ...own, resources: ['bgpnodes/status'], verbs: ['patch'] },
    ]),
    ...inNamespaces,
  ]
}

export function controllerAccess(namespace: string): Manifest[] {
  const who = { name: controllerName, namespace }
  const leases = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] }
  const leaseRules = [
    // what is created has no name yet that a rule could look at
    { ...leases, verbs: ['create'] },
    { ...leases, resourceNames: ['causeway-controller'], verbs: ['get', 'update'] },
  ]
  // one role for each namespace: where the lease is, and where events of nodes are
  const inNamespaces =
    namespace === nodeEventsNamespace
      ? grant(who, [...leaseRules, ...eventRules], namespace)
      : [...grant(who, leaseRules, namespace), ...grant(who, eventRules, nodeEventsNamespace)]
  return [
    account(controllerName, namespace),
    ...grant(who, [{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch', 'patch'] }]),
    ...inNamespaces,
  ]
}
