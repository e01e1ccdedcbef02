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

type Route = NamespaceFacts['routes'][number]

/** The routes with an MTU that all other pods of the node have, which keep packets small enough for the tunnel, and this one has not. */
function lackedMtuRoutes({ inside }: OfPod, others: readonly OfPod[]): Route[] {
  const isSame = (one: Route, other: Route): boolean => one.dst === other.dst && one.mtuBytes === other.mtuBytes
  const [first, ...rest] = others
  return (first?.inside.routes ?? []).filter(
    (route) =>
      route.mtuBytes !== undefined &&
      rest.every((other) => other.inside.routes.some((each) => isSame(each, route))) &&
      !inside.routes.some((each) => isSame(each, route)),
  )
}

const ipOf = (family: Family | undefined): string => (family === 6 ? 'ip -6' : 'ip')

/** "ip route replace 10.244.0.0/16 via 10.244.1.1 dev eth0 mtu 1450" */
function makeText({ dst, mtuBytes, nextHops: [hop] }: Route, ifName: string): string {
  const via = hop?.gateway === undefined ? '' : ` via ${hop.gateway}`
  return `${ipOf(Prefix.tryParse(dst)?.family)} route replace ${dst}${via} dev ${ifName} mtu ${mtuBytes}`
}

/** It counts only where packets are lost: the node tells a pod what fits, and TCP heeds that. */
function tooLarge({ node, endpoint, inside }: OfPod, lacked: readonly Route[]): Sign[] {
  const { pod, ifName } = endpoint
  const own = lacked.filter(({ dst }) => {
    const prefix = Prefix.tryParse(dst)
    return prefix !== undefined && inside.routes.some((each) => Prefix.tryParse(each.dst)?.contains(prefix) === true)
  })
  if (own.length === 0) return []
  const what = own.map(({ dst, mtuBytes }) => `${dst} with MTU ${mtuBytes}`).join(' and ')
  const message = `its route to ${what}, which the other pods of the node have, is missing: it sends packets that are too large for the way, and learns of that only when they are refused`
  const remedy = `delete the pod, so that it is made anew; or, in its namespace: ${own.map((route) => makeText(route, ifName)).join('; ')}`
  const of = [...new Set(own.flatMap(({ dst }) => Prefix.tryParse(dst)?.family ?? []))]
  return [
    {
      ...problem('CW3114', `pod/${pod}`, message, { remedy }),
      nodes: [node],
      extent: { at: node, pods: [pod], families: of },
      needs: 'loss',
    },
  ]
}

function missingRoutes(answers: NodeAnswers, { node, endpoint, inside }: OfPod, lacked: readonly Route[]): Sign[] {
  const { pod, addrs, ifName } = endpoint
  const lacking = families.filter((family) => {
    const to = otherPodsOf(answers, family)
    return to !== undefined && addrs.some((addr) => familyOf(addr) === family) && !hasRoute(inside, to)
  })
  if (lacking.length === 0) return []
  const ways = lacking.flatMap((family) => {
    const addr = addrs.find((each) => familyOf(each) === family)!
    const gateway = gatewayOf(answers, addr)
    const narrow = lacked.filter(({ dst }) => Prefix.tryParse(dst)?.family === family)
    return [
      ...(gateway === undefined ? [] : [`${ipOf(family)} route add default via ${gateway} dev ${ifName}`]),
      ...narrow.map((route) => makeText(route, ifName)),
    ]
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
  return all.flatMap((answers) => {
    const pods = podsOf(answers)
    return pods.flatMap((pod) => {
      const others = pods.filter((each) => each !== pod)
      const lacked = lackedMtuRoutes(pod, others)
      return [...missingRoutes(answers, pod, lacked), ...tooLarge(pod, lacked), ...otherMtu(answers, pod)]
    })
  })
}
