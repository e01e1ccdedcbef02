// For tests: nodes and objects as the statuses are made from.
import { type KubeObject } from '#/model/kubernetes.ts'
import { type RoutingState } from '#/model/routing.ts'
import { type StatusNode } from './status-node.ts'

const nativeOnly: RoutingState = { mode: 'native', sends: ['native'], accepts: ['native'] }

export function nodeOf(name: string, fields: Partial<StatusNode> = {}): StatusNode {
  return {
    name,
    labels: {},
    addrs: [],
    canHaveAgent: true,
    isSilent: false,
    ownRouting: undefined,
    routingState: nativeOnly,
    ownDatapath: undefined,
    datapathState: { name: 'bridge' },
    ...fields,
  }
}

export function objectOf(name: string, spec: object): KubeObject {
  return { metadata: { name, generation: 3 }, spec } as KubeObject
}
