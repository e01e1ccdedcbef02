// With the routing "vxlan", what to do with a packet to a pod of another node when its route through the tunnel is missing: it is dropped,
// and never leaves by a default route in the clear. Blackholes cover the pod CIDRs of other nodes and nothing else. Pure.
import { type Prefix } from '#/lib/addr.ts'
import { blackholeMetric } from '#/model/names.ts'
import { type BlackholeRoute, type NetworkDelta, routeKey } from '#/model/network.ts'
import { type RemoteNodes } from './remote-nodes.ts'

export function blackholeTo(dst: Prefix): BlackholeRoute {
  return { kind: 'blackhole', dst, metric: blackholeMetric }
}

/** Nodes' pod CIDRs are mostly neighbours: the cover of thousands is some tens of routes. */
export function coverOf({ routing, covered }: Pick<RemoteNodes, 'routing' | 'covered'>): BlackholeRoute[] {
  return routing === 'vxlan' ? covered.prefixes.map(blackholeTo) : []
}

/** Tells what of the cover changed between two passes that do not read the kernel. */
export class CoverChanges {
  #before: ReadonlyMap<string, BlackholeRoute> = new Map()
  #version: number | undefined

  /** The change since the last call; undefined when there is none. */
  take(remoteNodes: RemoteNodes): NetworkDelta | undefined {
    if (remoteNodes.covered.version === this.#version) return undefined
    const after = new Map(coverOf(remoteNodes).map((route) => [routeKey(route), route]))
    const before = this.#before
    const routes = new Map<string, BlackholeRoute | undefined>()
    for (const key of before.keys()) if (!after.has(key)) routes.set(key, undefined)
    for (const [key, route] of after) if (!before.has(key)) routes.set(key, route)
    this.#before = after
    this.#version = remoteNodes.covered.version
    return routes.size === 0 ? undefined : { routes, neighbours: new Map(), tunnelEnds: new Map() }
  }
}
