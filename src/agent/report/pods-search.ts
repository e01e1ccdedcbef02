// Finds pods of the cluster by their names, for who asks the agent.
import { type PodsReport, type PodsRequest } from '#/api/schemas/pods.ts'
import { byText } from '#/lib/by-text.ts'
import { type PolicyPod, type PolicyView } from '#/policy/cluster.ts'
import { podText } from '#/policy/words.ts'
import { type Handlers } from './http-api.ts'
import { type TraceSources } from './trace-send.ts'

const mostTold = 50

/** Whether a packet can be followed from or to it. */
function isThere({ isHostNetwork, hasEnded, addrs, node }: PolicyPod): boolean {
  return !isHostNetwork && !hasEnded && addrs.length > 0 && node !== ''
}

export function podsNamed(nodeName: string, { pods }: Pick<PolicyView, 'pods'>, { q = '' }: PodsRequest): PodsReport {
  const wanted = q.toLowerCase()
  const isFirst = (name: string): boolean => name.startsWith(wanted) || name.includes(`/${wanted}`)
  const found = [...pods.values()].flatMap((pod) => {
    const name = podText(pod)
    return isThere(pod) && name.toLowerCase().includes(wanted) ? [{ name, pod, isFirst: isFirst(name) }] : []
  })
  found.sort((a, b) => Number(b.isFirst) - Number(a.isFirst) || byText(a.name, b.name))
  return {
    node: nodeName,
    pods: found
      .slice(0, mostTold)
      .map(({ name, pod: { node, addrs } }) => ({ pod: name, node, addrs: addrs.map(String) })),
    more: Math.max(0, found.length - mostTold),
  }
}

export function podsHandlers({
  nodeName,
  view,
  unknown,
}: Pick<TraceSources, 'nodeName' | 'view' | 'unknown'>): Pick<Handlers, 'pods'> {
  return {
    pods: (wish) => {
      const why = unknown()
      if (why !== undefined) return { status: 503, body: `${why}\n` }
      return { status: 200, body: podsNamed(nodeName, view, wish) }
    },
  }
}
