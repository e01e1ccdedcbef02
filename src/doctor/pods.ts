// What pods need in their own namespaces and have not, as the kernel has it. Pure.
import { type NamespaceFacts } from '#/api/schemas/facts.ts'
import { type EndpointStatus } from '#/api/schemas/status.ts'
import { Addr, families, type Family, Prefix } from '#/lib/addr.ts'
import { problem } from '#/model/problems.ts'
import { type NodeAnswers, type Sign } from './types.ts'

type OfPod = { readonly node: string; readonly endpoint: EndpointStatus; readonly inside: NamespaceFacts }

function podsOf({ node, status, facts }: NodeAnswers): OfPod[] {
  const inside = new Map(facts?.namespaces.map((each) => [each.pod, each]))
  return (status?.endpoints ?? []).flatMap((endpoint) => {
    const own = inside.get(endpoint.pod)
    return endpoint.state === 'ready' && own !== undefined && own.error === undefined
      ? [{ node, endpoint, inside: own }]
      : []
  })
}

const familyOf = (text: string): Family | undefined => Addr.tryParse(text)?.family

/** An address that is no pod's of this node, of that family, by which a route to others is looked for. */
function otherPodsOf({ status }: NodeAnswers, family: Family): Prefix | undefined {
  return status?.verdicts.map(({ podCIDR }) => Prefix.tryParse(podCIDR)).find((cidr) => cidr?.family === family)
}

function hasRoute({ routes }: NamespaceFacts, to: Prefix): boolean {
  return routes.some(({ dst, type }) => type === 'unicast' && Prefix.tryParse(dst)?.contains(to) === true)
}

function gatewayOf({ status }: NodeAnswers, addr: string): string | undefined {
  const own = status?.podCIDRs.map((each) => Prefix.tryParse(each))
  return own
    ?.find((cidr) => cidr?.contains(Addr.parse(addr)))
    ?.at(1)
    .toString()
}

function missingRoutes(answers: NodeAnswers, { node, endpoint, inside }: OfPod): Sign[] {
  const { pod, addrs, ifName } = endpoint
  const lacking = families.filter((family) => {
    const to = otherPodsOf(answers, family)
    return to !== undefined && addrs.some((addr) => familyOf(addr) === family) && !hasRoute(inside, to)
  })
  if (lacking.length === 0) return []
  const ways = lacking.flatMap((family) => {
    const addr = addrs.find((each) => familyOf(each) === family)!
    const gateway = gatewayOf(answers, addr)
    const ip = family === 6 ? 'ip -6' : 'ip'
    return gateway === undefined ? [] : [`${ip} route add default via ${gateway} dev ${ifName}`]
  })
  const what = lacking.map((family) => `IPv${family}`).join(' and ')
  const remedy = `delete the pod, so that it is made anew; or, in its namespace: ${ways.join('; ')}`
  return [
    {
      ...problem('CW3114', `pod/${pod}`, `no route of it leads to pods of other nodes (${what})`, { remedy }),
      nodes: [node],
      extent: { at: node, pods: [pod], families: lacking },
    },
  ]
}

function otherMtu({ facts }: NodeAnswers, { node, endpoint, inside }: OfPod): Sign[] {
  const { pod, ifName, hostDevice } = endpoint
  const own = inside.links.find(({ name }) => name === ifName)
  const host = facts?.namespaces[0]?.links.find(({ name }) => name === hostDevice)
  if (own === undefined || host === undefined || own.mtuBytes === host.mtuBytes) return []
  const message = `its ${ifName} has an MTU of ${own.mtuBytes} bytes, and the node's end ${hostDevice} ${host.mtuBytes}: larger packets are lost between the two`
  const remedy = `delete the pod, so that it is made anew; or, in its namespace: ip link set dev ${ifName} mtu ${host.mtuBytes}`
  return [{ ...problem('CW3115', `pod/${pod}`, message, { remedy }), nodes: [node], extent: { at: node, pods: [pod] } }]
}

export function podSigns(all: readonly NodeAnswers[]): Sign[] {
  return all.flatMap((answers) =>
    podsOf(answers).flatMap((pod) => [...missingRoutes(answers, pod), ...otherMtu(answers, pod)]),
  )
}
