// The scenarios of the connectivity test, and the packets of each. Pure.
import { type PacketEnd } from '#/doctor/types.ts'
import { Addr, families, type Family } from '#/lib/addr.ts'
import { mostBackends, podPort } from './objects.ts'
import {
  type Plan,
  type Probe,
  type Protocol,
  type Role,
  type ScenarioName,
  type Site,
  type TestNode,
  type TestPod,
  type TestService,
  type Unread,
} from './types.ts'
import { ring, waysBetween } from './ways.ts'

const both = ['icmp', 'tcp'] as const
/** Echoes between the same pods are those of mtu: a small one comes before each of full size. */
const tcpAndUdp = ['tcp', 'udp'] as const
/** What a NetworkPolicy means for ICMP is not defined. */
const tcp = ['tcp'] as const
const udp = ['udp'] as const

const familiesOf = (addrs: readonly string[]): Family[] =>
  families.filter((family) => addrs.some((addr) => Addr.tryParse(addr)?.family === family))

const addrOf = (addrs: readonly string[], family: Family): string =>
  addrs.find((addr) => Addr.tryParse(addr)?.family === family)!

type End = { readonly end: PacketEnd; readonly addrs: readonly string[]; readonly target?: (family: Family) => string }

const podEnd = ({ name, node, addrs }: TestPod): End => ({ end: { name, node, isPod: true }, addrs })

const nodeEnd = ({ name, addrs }: TestNode): End => ({
  end: { name, node: name, isPod: false },
  addrs,
  // which of a node's addresses is meant depends on the family
  target: (family) => addrOf(addrs, family),
})

type Wish = Pick<Probe, 'isOfFullSize' | 'via' | 'viaWhenLost' | 'port' | 'isGuess'> & {
  readonly expects?: Probe['expects']
}

function packets(from: End, to: End, protocols: readonly Protocol[], wish: Wish = {}): Probe[] {
  const { expects = 'arrival', port = podPort, ...rest } = wish
  const own = familiesOf(from.addrs)
  return familiesOf(to.addrs)
    .filter((family) => own.includes(family))
    .flatMap((family) =>
      protocols.map((protocol) => ({
        from: from.end,
        to: to.end,
        ...(to.target !== undefined && { target: to.target(family) }),
        family,
        protocol,
        ...(protocol !== 'icmp' && { port }),
        expects,
        ...rest,
      })),
    )
}

/** The node of a site with its pods, as far as they are ready. */
type Place = { readonly node: TestNode } & Readonly<Partial<Record<Role, TestPod>>>

function placesOf({ nodes, pods }: Site): Place[] {
  return nodes.map((node) => {
    const own = pods.filter((pod) => pod.node === node.name)
    return { node, ...Object.fromEntries(own.map((pod) => [pod.role, pod])) }
  })
}

const ends = (...pods: readonly (TestPod | undefined)[]): End[] =>
  pods.flatMap((pod) => (pod === undefined ? [] : [podEnd(pod)]))

/** For each of these pairs the packets from one to the other, where both are there. */
const between = (
  pairs: readonly (readonly [TestPod | undefined, TestPod | undefined])[],
  protocols: readonly Protocol[],
  wish: Wish = {},
): Probe[] =>
  pairs.flatMap(([one, other]) => {
    const [from, to] = [ends(one)[0], ends(other)[0]]
    return from && to ? packets(from, to, protocols, wish) : []
  })

const oneNode = { skip: 'it needs two nodes' }

const planOf = (probes: readonly Probe[], otherwise: string): Plan =>
  probes.length > 0 ? { probes } : { skip: otherwise }

const noPods = 'no two of its pods are ready'

function ofWays(site: Site, make: (from: Place, to: Place) => Probe[]): Plan {
  if (site.nodes.length < 2) return oneNode
  return planOf(
    waysBetween(placesOf(site)).flatMap(([from, to]) => make(from, to)),
    noPods,
  )
}

const serviceEnd = ({ name, addrs }: TestService): End => ({
  end: { name: `Service ${name}`, node: '', isPod: false },
  addrs,
  target: (family) => addrOf(addrs, family),
})

const noAddress = ({ name }: TestService): Plan => ({
  skip: `the Service ${name} has no cluster IP: nothing in this cluster gives it one`,
})

const portOf = ({ port }: TestService): Wish => (port === undefined ? {} : { port })

/** The nodes of the pods behind the Service. */
const backendNodes = ({ nodes }: Site): string[] => nodes.slice(0, mostBackends).map(({ name }) => name)

/** From each client to a Service of the cluster's own. */
function ofCluster(own: TestService | Unread | undefined, name: string, site: Site): Plan {
  if (own === undefined) return { skip: `there is no Service ${name}` }
  if ('whyUnread' in own) return { skip: own.whyUnread }
  if (own.addrs.length === 0) return noAddress(own)
  const to = serviceEnd(own)
  const { port, udpPort, backendNodes: viaWhenLost = site.nodes.map(({ name: node }) => node) } = own
  const wish = { viaWhenLost }
  const from = ends(...placesOf(site).map(({ client }) => client))
  return planOf(
    from.flatMap((each) => [
      ...(port === undefined ? [] : packets(each, to, tcp, { ...wish, port })),
      ...(udpPort === undefined ? [] : packets(each, to, udp, { ...wish, port: udpPort })),
    ]),
    noPods,
  )
}

function service(site: Site): Plan {
  if (site.service === undefined) return { skip: 'the Service could not be made' }
  if (site.service.addrs.length === 0) return noAddress(site.service)
  const to = serviceEnd(site.service)
  const wish = { ...portOf(site.service), via: backendNodes(site) }
  const from = placesOf(site).flatMap(({ node, client }) => [...ends(client), nodeEnd(node)])
  return planOf(
    from.flatMap((each) => packets(each, to, tcp, wish)),
    noPods,
  )
}

function hairpin(site: Site): Plan {
  if (site.hairpin === undefined) return { skip: 'the Service could not be made' }
  if (site.hairpin.addrs.length === 0) return noAddress(site.hairpin)
  const [client] = ends(placesOf(site)[0]?.client)
  if (client === undefined) return { skip: 'the pod behind it is not ready' }
  const wish = { ...portOf(site.hairpin), via: [client.end.node] }
  return { probes: packets(client, serviceEnd(site.hairpin), tcp, wish) }
}

function nodePort(site: Site): Plan {
  const port = site.service?.nodePort
  if (port === undefined) return { skip: 'the Service has no node port: nothing in this cluster gives it one' }
  const wish = { port, via: backendNodes(site) }
  const places = placesOf(site)
  const own = places.flatMap(({ client, node }) =>
    ends(client).flatMap((from) => packets(from, nodeEnd(node), tcp, wish)),
  )
  const others = ring(places).flatMap(([{ client, node }, to]) =>
    [...ends(client), nodeEnd(node)].flatMap((from) => packets(from, nodeEnd(to.node), tcp, wish)),
  )
  return planOf([...own, ...others], noPods)
}

function outside(site: Site): Plan {
  if (site.outside.length === 0)
    return { skip: 'no address outside of the cluster is known; --outside ADDRESS[:PORT] names one' }
  const probes = site.outside.flatMap(({ addr, port, isGuessed }) => {
    const to = { end: { name: addr, node: '', isPod: false }, addrs: [addr] }
    const protocols = port === undefined ? (['icmp'] as const) : (['tcp'] as const)
    const wish = { ...(port !== undefined && { port }), ...(isGuessed && { isGuess: true as const }) }
    return placesOf(site).flatMap(({ client }) => ends(client).flatMap((from) => packets(from, to, protocols, wish)))
  })
  return planOf(probes, 'its pods have no address of that family')
}

/** With each pod that has a policy: pods of `role`, of its own node and of another, send to it and are sent to. */
function ofPolicy(site: Site, role: 'client' | 'server', expects: Probe['expects']): Plan {
  if (site.observed.length > 0)
    return { skip: `the network of ${site.observed[0]} is another one's, and Causeway enforces no policies there` }
  const places = placesOf(site)
  const probes = places.flatMap((place, index) => {
    const other = places[(index + places.length - 1) % places.length]
    const peers = new Set([place[role], other?.[role]])
    return [...peers].flatMap((peer) => [
      ...between([[peer, place.walled]], tcp, { expects }),
      ...between([[place.walled, peer]], tcp, { expects }),
    ])
  })
  return planOf(probes, 'no pod with a policy is ready')
}

type Scenario = {
  readonly name: ScenarioName
  readonly summary: string
  /** Absent: it sends no packets of its own. */
  readonly plan?: (site: Site) => Plan
}

/** In the order in which they run. */
export const scenarios: readonly Scenario[] = [
  { name: 'agents', summary: 'the agent of each node answers' },
  { name: 'pods-start', summary: 'pods on each node become ready, with an address of each family' },
  {
    name: 'pod-to-pod',
    summary: 'TCP and UDP between pods of different nodes',
    plan: (site) => ofWays(site, (from, to) => between([[from.client, to.server]], tcpAndUdp)),
  },
  {
    name: 'same-node',
    summary: 'echo and TCP between two pods of each node',
    plan: (site) =>
      planOf(
        between(
          placesOf(site).map(({ client, server }) => [client, server] as const),
          both,
        ),
        noPods,
      ),
  },
  {
    name: 'mtu',
    summary: 'a small echo and one of full size between pods of different nodes, not to be fragmented',
    plan: (site) => ofWays(site, (from, to) => between([[from.client, to.server]], ['icmp'], { isOfFullSize: true })),
  },
  {
    name: 'pod-to-host',
    summary: 'an echo from a pod to its own node and to another',
    plan: (site) => {
      const places = placesOf(site)
      const pairs = [...places.map((place) => [place, place] as const), ...ring(places)]
      return planOf(
        pairs.flatMap(([{ client }, { node }]) =>
          ends(client).flatMap((from) => packets(from, nodeEnd(node), ['icmp'])),
        ),
        noPods,
      )
    },
  },
  {
    name: 'host-to-pod',
    summary: 'TCP from a node to its own pod and to one of another node',
    plan: (site) => {
      const places = placesOf(site)
      const pairs = [...places.map((place) => [place, place] as const), ...ring(places)]
      return planOf(
        pairs.flatMap(([{ node }, { server }]) => ends(server).flatMap((to) => packets(nodeEnd(node), to, tcp))),
        noPods,
      )
    },
  },
  {
    name: 'host-to-host',
    summary: 'an echo from a node to another',
    plan: ({ nodes }) => {
      if (nodes.length < 2) return oneNode
      return planOf(
        ring(nodes).flatMap(([from, to]) => packets(nodeEnd(from), nodeEnd(to), ['icmp'])),
        'no two nodes have addresses of one family',
      )
    },
  },
  { name: 'service', summary: "TCP to a Service's cluster IP, from pods and nodes", plan: service },
  { name: 'hairpin', summary: 'TCP from a pod to a Service behind which it is itself', plan: hairpin },
  { name: 'node-port', summary: 'TCP to a port of a node, from pods and from another node', plan: nodePort },
  {
    name: 'kubernetes',
    summary: 'TCP from pods to the Service of the API server',
    plan: (site) => ofCluster(site.kubernetes, 'default/kubernetes', site),
  },
  {
    name: 'dns',
    summary: "TCP and UDP from pods to the cluster's DNS",
    plan: (site) => ofCluster(site.dns, 'kube-system/kube-dns', site),
  },
  { name: 'outside', summary: 'from pods to an address outside of the cluster (--outside)', plan: outside },
  {
    name: 'policy-allow',
    summary: 'what a NetworkPolicy allows arrives',
    plan: (site) => ofPolicy(site, 'client', 'arrival'),
  },
  {
    name: 'policy-deny',
    summary: 'what a NetworkPolicy does not allow does not arrive',
    plan: (site) => ofPolicy(site, 'server', 'denial'),
  },
  { name: 'doctor', summary: 'causeway doctor finds nothing wrong while the pods are there' },
]
