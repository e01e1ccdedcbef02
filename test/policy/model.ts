// The cluster of the truth table: three namespaces of three pods, as objects of the API, and how a scenario changes it.
import { type KubeObject } from '#/model/kubernetes.ts'

export const namespaceNames = ['x', 'y', 'z'] as const
export const podNames = ['a', 'b', 'c'] as const
/** Pods of this namespace run on another node than all others. */
export const remoteNamespace = 'z'

export type Labels = Readonly<Record<string, string>>
export type Spec = Readonly<Record<string, unknown>>

export function namespaceObject(name: string, labels: Labels = {}, annotations: Labels = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      uid: `ns-${name}`,
      labels: { 'kubernetes.io/metadata.name': name, ns: name, ...labels },
      annotations,
    },
  }
}

/** Each pod listens, as far as policies know, at 80 and 81 of each protocol; what a pod calls "web" differs. */
const web: Readonly<Record<string, number | undefined>> = { a: 80, b: 81 }

function portsOf(name: string): readonly Spec[] {
  const all = (['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) =>
    [80, 81].map((containerPort) => ({
      name: `s-${containerPort}-${protocol.toLowerCase()}`,
      containerPort,
      protocol,
    })),
  )
  const containerPort = web[name]
  return containerPort === undefined ? all : [...all, { name: 'web', containerPort, protocol: 'TCP' }]
}

export type PodOptions = {
  readonly addrs: readonly string[]
  readonly labels?: Labels
  readonly uid?: string
  readonly phase?: string
  readonly hostNetwork?: boolean
}

export function podObject(key: string, { addrs, labels, uid, phase = 'Running', hostNetwork }: PodOptions): KubeObject {
  const [namespace, name] = key.split('/') as [string, string]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, uid: uid ?? `pod-${namespace}-${name}`, labels: labels ?? { pod: name } },
    spec: {
      nodeName: namespace === remoteNamespace ? 'node-2' : 'node-1',
      ...(hostNetwork === true && { hostNetwork }),
      containers: [{ name: 'c', ports: portsOf(name) }],
    },
    status: { phase, podIPs: addrs.map((ip) => ({ ip })) },
  } as KubeObject
}

export function networkPolicy(key: string, spec: Spec): KubeObject {
  const [namespace, name] = key.split('/') as [string, string]
  const metadata = { namespace, name, uid: `np-${namespace}-${name}` }
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec } as KubeObject
}

export function clusterPolicy(name: string, spec: Spec): KubeObject {
  const metadata = { name, uid: `cnp-${name}` }
  return { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy', metadata, spec } as KubeObject
}

export const labels = (matchLabels: Labels): Spec => ({ matchLabels })
export const byLabel = (key: string, operator: string, ...values: readonly string[]): Spec => ({
  matchExpressions: [{ key, operator, ...(values.length > 0 && { values }) }],
})
export const podsAt = (matchLabels: Labels): Spec => ({ podSelector: { matchLabels } })
export const namespacesAt = (matchLabels: Labels): Spec => ({ namespaceSelector: { matchLabels } })

/** What a step does to the cluster. */
export type Change =
  | { readonly put: KubeObject }
  /** "networkpolicy/NAMESPACE/NAME" or "clusternetworkpolicy/NAME". */
  | { readonly drop: string }
  | { readonly relabel: string; readonly labels: Labels }
  | { readonly namespace: string; readonly labels?: Labels; readonly annotations?: Labels }
  /** The pod is deleted and made anew, with other addresses. */
  | { readonly renew: string }
  /** A pod on the other node that has ended, with the addresses of a living one. */
  | { readonly ended: string; readonly addrsOf: string; readonly labels: Labels }

/**
 * `expect`: "FROM TO PROTOCOL PORT" of cells that decide, and whether the packet arrives, in both families. FROM and TO are pods, `world`,
 * `node-1` (where all pods but those of z run) or `node-2`. What the evaluator says of all other cells is compared too.
 */
export type Step = { readonly changes: readonly Change[]; readonly expect: Readonly<Record<string, boolean>> }
export type Scenario = { readonly name: string; readonly steps: readonly Step[] }

export function scenario(
  name: string,
  ...steps: readonly (readonly [changes: readonly Change[], expect: Readonly<Record<string, boolean>>])[]
): Scenario {
  return { name, steps: steps.map(([changes, expect]) => ({ changes, expect })) }
}

export const put = (object: KubeObject): Change => ({ put: object })
