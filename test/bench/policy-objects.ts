// Pods and policies of a cluster that benchmarks make. Pure.
import { Addr } from '#/lib/addr.ts'
import { nodeNameOf, podCIDROf } from './nodes-of.ts'

export const policyNamespace = 'default'

/** Deny to and from all pods of the namespace what is not allowed elsewhere. */
const both = { podSelector: {}, policyTypes: ['Ingress', 'Egress'] } as const

function networkPolicy(name: string, spec: object) {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: policyNamespace },
    spec,
  }
}

function labelled(key: string, value: string) {
  return { podSelector: { matchLabels: { [key]: value } } }
}

/**
 * Policies for all pods of the namespace, of which the last one, by name as well, allows what they say to each other: a packet is compared
 * with all of them.
 */
export function policiesOnPath(count: number) {
  if (count === 0) return []
  const name = (index: number): string => `on-path-${String(index).padStart(4, '0')}`
  const others = Array.from({ length: count - 1 }, (_, index) =>
    networkPolicy(name(index), {
      ...both,
      ingress: [{ from: [labelled('client', `c${index}`)], ports: [{ port: 8000 }] }],
      egress: [{ to: [labelled('server', `s${index}`)], ports: [{ port: 8000 }] }],
    }),
  )
  const all = [{ podSelector: {} }]
  return [...others, networkPolicy(name(9999), { ...both, ingress: [{ from: all }], egress: [{ to: all }] })]
}

/** The label by which one policy in so many selects a pod. */
export const slotLabel = 'slot'

/** Each selects the pods of one slot, and allows them what all have among themselves. */
export function policiesOfSlots(count: number, slots: number) {
  return Array.from({ length: count }, (_, index) =>
    networkPolicy(`slot-${String(index).padStart(4, '0')}`, {
      podSelector: { matchLabels: { [slotLabel]: String(index % slots) } },
      ingress: [{ from: [{ podSelector: {} }] }, { from: [labelled('app', `a${index}`)], ports: [{ port: 8000 }] }],
    }),
  )
}

export const gateName = 'gate'

/** In tier Admin, before all others: no pod of the cluster receives anything from pods. */
export const gate = {
  apiVersion: 'policy.networking.k8s.io/v1alpha2',
  kind: 'ClusterNetworkPolicy',
  metadata: { name: gateName },
  spec: {
    tier: 'Admin',
    priority: 0,
    subject: { namespaces: {} },
    ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
  },
} as const

/** A pod of another node, as its kubelet tells of it. Pods are numbered from 0, 100 on a node, beginning with node 2. */
export function podElsewhere(number: number, slots: number) {
  const node = 2 + Math.floor(number / 100)
  const addr: Addr = podCIDROf(node).at(2 + (number % 100))
  return {
    name: `pod-${number}`,
    object: {
      metadata: {
        name: `pod-${number}`,
        namespace: policyNamespace,
        labels: {
          app: `a${number % 1000}`,
          [slotLabel]: String(number % slots),
          'pod-template-hash': String(number % 500),
        },
      },
      spec: {
        nodeName: nodeNameOf(node),
        containers: [{ name: 'main', image: 'x', ports: [{ name: 'http', containerPort: 8000 }] }],
      },
    },
    status: { phase: 'Running', podIP: String(addr), podIPs: [{ ip: String(addr) }] },
  }
}
