import { Prefix } from '#/lib/addr.ts'
import { type NodeWay } from '#/model/network.ts'

/** A link that this node shares with others, or what differs from one. */
export function linkWay(prefix: string, more: Partial<NodeWay> = {}): NodeWay {
  return { prefix: Prefix.parse(prefix), device: 'eth0', mtuBytes: 1500, kind: 'link', isFromNode: true, ...more }
}
