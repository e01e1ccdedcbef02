// For tests: pods, namespaces and policies as the API has them.
import { type KubeObject } from '#/model/kubernetes.ts'

type Labels = Readonly<Record<string, string>>

export function podObject(
  key: string,
  {
    labels = {},
    uid,
    addrs = [],
    node = 'node-1',
  }: { labels?: Labels; uid?: string; addrs?: readonly string[]; node?: string } = {},
): KubeObject {
  const [namespace, name] = key.split('/')
  return {
    metadata: { namespace: namespace!, name: name!, ...(uid !== undefined && { uid }), labels: { ...labels } },
    spec: { nodeName: node, containers: [] },
    status: { phase: 'Running', podIPs: addrs.map((ip) => ({ ip })) },
  } as KubeObject
}

export function namespaceObject(name: string, labels: Labels = {}): KubeObject {
  return { metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } } }
}

/** A NetworkPolicy; `spec` is as in YAML. */
export function policyObject(key: string, spec: Readonly<Record<string, unknown>>): KubeObject {
  const [namespace, name] = key.split('/')
  return { metadata: { namespace: namespace!, name: name! }, spec } as KubeObject
}
