// What other networks have left on nodes: worth knowing, and no fault as long as nothing of it is in the way of packets. Pure.
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { type Finding, type NodeAnswers, type Note } from './types.ts'

type Network = {
  readonly name: string
  readonly devices: RegExp
  readonly chains: RegExp
  /** Types of CNI plugins. */
  readonly plugins: RegExp
  /** Numbers of /etc/iproute2/rt_protos. */
  readonly protocols?: readonly number[]
}

/** kube-proxy's own (kube-ipvs0, KUBE-*) are none. */
const networks: readonly Network[] = [
  { name: 'flannel', devices: /^(flannel[.-]|cni0$)/, chains: /^FLANNEL-/, plugins: /^flannel$/ },
  {
    name: 'Calico',
    devices: /^(cali[0-9a-f]{11}$|vxlan(-v6)?\.calico$|wireguard\.cali$)/,
    chains: /^cali-/,
    plugins: /^calico/,
    protocols: [80],
  },
  { name: 'Cilium', devices: /^(cilium_|lxc_?[0-9a-f]+$|lxc_health$)/, chains: /^(OLD_)?CILIUM_/, plugins: /^cilium/ },
  { name: 'kube-router', devices: /^(kube-bridge|kube-dummy-if)$/, chains: /^KUBE-ROUTER-/, plugins: /^kube-router$/ },
  { name: 'Weave Net', devices: /^(weave|vxlan-6784|datapath|vethwe-)/, chains: /^WEAVE-/, plugins: /^weave/ },
  { name: 'Antrea', devices: /^antrea-/, chains: /^ANTREA-/, plugins: /^antrea$/ },
  { name: 'OVN-Kubernetes', devices: /^(ovn-k8s-|ovn0$)/, chains: /^OVN-KUBE-/, plugins: /^ovn/ },
]

export type Leftover = { readonly node: string; readonly network: string; readonly things: readonly string[] }

const shown = 4

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return []
  const more = names.length - shown
  return [`${what} ${names.slice(0, shown).join(', ')}${more > 0 ? ` and ${more} more` : ''}`]
}

function thingsOf(
  { namespaces: [own], conflists }: NodeFacts,
  { devices, chains, plugins, protocols = [] }: Network,
): string[] {
  const unique = (names: readonly string[]): string[] => [...new Set(names)]
  return [
    ...listed(
      'device',
      (own?.links ?? []).map(({ name }) => name).filter((name) => devices.test(name)),
    ),
    ...listed(
      'chain',
      unique((own?.chains ?? []).map(({ chain }) => chain)).filter((name) => chains.test(name)),
    ),
    ...listed(
      'route',
      (own?.routes ?? []).filter(({ protocol }) => protocols.includes(protocol)).map(({ dst }) => dst),
    ),
    ...listed(
      'CNI configuration',
      conflists
        .filter((each) => !each.isOurs && each.plugins.some((type) => plugins.test(type)))
        .map(({ file }) => file),
    ),
  ]
}

export function leftoversIn(answers: readonly NodeAnswers[]): Leftover[] {
  return answers.flatMap(({ node, facts, status }) =>
    facts === undefined
      ? []
      : networks.flatMap((network) => {
          if (status?.observes?.network === network.name.toLowerCase()) return []
          const things = thingsOf(facts, network)
          return things.length === 0 ? [] : [{ node, network: network.name, things }]
        }),
  )
}

const wordsOf = (things: readonly string[]): string[] =>
  things.flatMap((thing) => thing.split(/[ ,]+/)).filter((word) => /[\d._-]/.test(word) || word === 'cni0')

/** Findings in which a leftover is named say so; of the others there is a note for each former network. */
export function withLeftovers(
  findings: readonly Finding[],
  leftovers: readonly Leftover[],
): { readonly findings: Finding[]; readonly notes: Note[] } {
  const named = new Set<Leftover>()
  const told = findings.map((finding): Finding => {
    const own = leftovers.find(
      ({ node, things }) =>
        finding.nodes.includes(node) &&
        wordsOf(things).some((word) =>
          `${finding.objects.join(' ')} ${finding.message}`.split(/[\s/,;:]+/).includes(word),
        ),
    )
    if (own === undefined) return finding
    named.add(own)
    return { ...finding, message: `${finding.message}; it is what ${own.network} left: ${own.things.join('; ')}` }
  })
  const rest = Map.groupBy(
    leftovers.filter((each) => !named.has(each)),
    ({ network, things }) => `${network} ${things.join(' ')}`,
  )
  const notes = [...rest.values()].map((same): Note => {
    const nodes = same.map(({ node }) => node)
    return {
      nodes,
      text: `${nodes.slice(0, shown).join(', ')}${nodes.length > shown ? ` and ${nodes.length - shown} more` : ''}: ${same[0]!.network} was here, or is: ${same[0]!.things.join('; ')}; none of it is in the way of packets`,
    }
  })
  return { findings: told, notes }
}
