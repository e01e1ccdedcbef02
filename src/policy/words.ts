// Policies and packets in words, as `causeway policy why` and logs say them.
import { type Addr } from '#/lib/addr.ts'
import { type LabelSelector, selects } from '#/model/label-selector.ts'
import { type Labels, type PolicyPod, type PolicyView } from './cluster.ts'
import { type End, matchesNamespace, matchesPort } from './match.ts'
import { type PeerMatch, type PolicyRule, type PortMatch, portProtocols, type RuleRef, ruleRefText } from './policy.ts'
import { type DirectionVerdict, type PolicyPacket } from './verdict.ts'

/** One thing that a rule asks for, and whether the packet has it: "namespaceSelector team=a does not match namespace shop (…)". */
export type Check = { readonly isMatch: boolean; readonly text: string }

const protocolNames: ReadonlyMap<number, string> = new Map<number, string>([
  ...Object.entries(portProtocols).map(([name, number]): [number, string] => [number, name]),
  [1, 'ICMP'],
  [58, 'ICMPv6'],
])

export function protocolText(protocol: number): string {
  return protocolNames.get(protocol) ?? `protocol ${protocol}`
}

/** "TCP 80" */
export function targetText({ protocol, port }: Pick<PolicyPacket, 'protocol' | 'port'>): string {
  return port === undefined ? protocolText(protocol) : `${protocolText(protocol)} ${port}`
}

export function podText({ namespace, name }: Pick<PolicyPod, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`
}

/** As kubectl takes it with --selector. */
export function selectorText(selector: LabelSelector): string {
  return selector
    .map(({ key, operator, values }) => {
      if (operator === 'Exists') return key
      if (operator === 'DoesNotExist') return `!${key}`
      if (values.length === 1) return `${key}${operator === 'In' ? '=' : '!='}${values[0]}`
      return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`
    })
    .join(',')
}

function labelsText(labels: Labels): string {
  const texts = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return texts.length === 0 ? 'no labels' : texts.join(',')
}

/** The node that has the address. */
export function nodeAt(view: PolicyView, addr: Addr): string | undefined {
  for (const [node, addrs] of view.nodes) if (addrs.some((each) => each.equals(addr))) return node
  return undefined
}

/** What an address is that no pod has by which policies could know it. */
function strangerText(view: PolicyView, addr: Addr): string {
  const node = nodeAt(view, addr)
  return node === undefined ? `${addr} is no pod` : `${addr} is node ${node}, no pod`
}

function podsCheck(view: PolicyView, peer: PeerMatch & { kind: 'pods' }, { addr, pod }: End): Check {
  const { namespaces, pods } = peer
  const podSelector = pods.length === 0 ? 'all pods' : `podSelector ${selectorText(pods)}`
  const where =
    namespaces.kind === 'name'
      ? `namespace ${namespaces.name}`
      : namespaces.selector.length === 0
        ? 'all namespaces'
        : `namespaceSelector ${selectorText(namespaces.selector)}`
  if (pod === undefined) return { isMatch: false, text: `${podSelector} in ${where}: ${strangerText(view, addr)}` }
  const misses: string[] = []
  if (!matchesNamespace(peer, pod.namespace, view.namespaces)) {
    const labels = view.namespaces.get(pod.namespace)?.labels
    const has = labels === undefined ? 'is not known' : labelsText(labels)
    misses.push(
      namespaces.kind === 'name'
        ? `${podSelector} in ${where}: ${podText(pod)} is in another namespace`
        : `${where} does not match namespace ${pod.namespace} (${has})`,
    )
  }
  if (!selects(pods, pod.labels))
    misses.push(`${podSelector} does not match pod ${podText(pod)} (${labelsText(pod.labels)})`)
  if (misses.length > 0) return { isMatch: false, text: misses.join('; ') }
  return { isMatch: true, text: `${podSelector} in ${where} matches ${podText(pod)}` }
}

function blockCheck({ cidr, except }: PeerMatch & { kind: 'block' }, { addr }: End): Check {
  if (!cidr.contains(addr)) return { isMatch: false, text: `ipBlock ${cidr} does not have ${addr}` }
  const hole = except.find((each) => each.contains(addr))
  if (hole !== undefined) return { isMatch: false, text: `ipBlock ${cidr} excepts ${hole}, which has ${addr}` }
  return { isMatch: true, text: `ipBlock ${cidr} has ${addr}` }
}

const unreadable: Check = { isMatch: false, text: 'what is written cannot be enforced, so it matches nothing' }

/** In the order of the rule, but for blocks that do not have the address: they say the least, and there may be hundreds. */
export function peerChecks(view: PolicyView, peers: PolicyRule['peers'], end: End): readonly Check[] {
  if (peers === 'any') return [{ isMatch: true, text: 'any peer' }]
  if (peers.length === 0) return [unreadable]
  const isFar = (peer: PeerMatch): boolean => peer.kind === 'block' && !peer.cidr.contains(end.addr)
  const ordered = [...peers.filter((peer) => !isFar(peer)), ...peers.filter(isFar)]
  return ordered.map((peer) => (peer.kind === 'pods' ? podsCheck(view, peer, end) : blockCheck(peer, end)))
}

export function portText(match: PortMatch): string {
  const protocol = match.protocol ?? 'any protocol'
  if (match.kind === 'name') return `port ${match.name} (${protocol})`
  if (match.first === 0 && match.last === 65_535) return `any port of ${protocol}`
  return `${protocol} ${match.first === match.last ? match.first : `${match.first}-${match.last}`}`
}

function portCheck(match: PortMatch, packet: PolicyPacket, receiver: PolicyPod | undefined): Check {
  const isMatch = matchesPort(match, packet, receiver)
  if (match.kind === 'range')
    return { isMatch, text: isMatch ? portText(match) : `${portText(match)} is not ${targetText(packet)}` }
  if (receiver === undefined) return { isMatch, text: `${portText(match)}: ${packet.dst} is no pod` }
  const named = receiver.namedPorts
    .filter(({ name, protocol }) => name === match.name && (match.protocol ?? protocol) === protocol)
    .map(({ protocol, port }) => `${protocol} ${port}`)
  const meaning = `${podText(receiver)} calls ${named.length === 0 ? 'no port' : named.join(', ')} so`
  return { isMatch, text: `${portText(match)}: ${meaning}${isMatch ? '' : `, not ${targetText(packet)}`}` }
}

export function portChecks(
  ports: PolicyRule['ports'],
  packet: PolicyPacket,
  receiver: PolicyPod | undefined,
): readonly Check[] {
  if (ports === 'any') return [{ isMatch: true, text: 'any port' }]
  if (ports.length === 0) return [unreadable]
  return ports.map((port) => portCheck(port, packet, receiver))
}

/** A rule by its place, with its name if it has one. */
function ruleText(view: PolicyView, ref: RuleRef): string {
  const name = view.policies.get(ref.policy)?.rules[ref.direction]?.[ref.index]?.name
  return name === undefined ? ruleRefText(ref) : `${ruleRefText(ref)} (${name})`
}

/** The decision in one sentence, without the outcome. */
export function decisionText(
  view: PolicyView,
  { src, dst }: PolicyPacket,
  { direction, decision, isAudited, pod }: DirectionVerdict,
): string {
  const audited = isAudited ? '; let through, since its namespace is audited' : ''
  switch (decision.kind) {
    case 'noPod': {
      const addr = direction === 'egress' ? src : dst
      return `${strangerText(view, addr)}: no policy applies`
    }
    case 'ownNode':
      return `the other end is the node of ${pod}, which no policy forbids`
    case 'itself':
      return `${pod} talks to itself, which no NetworkPolicy forbids`
    case 'default':
      return 'no policy decides'
    case 'isolated':
      return `${decision.by.join(', ')} ${decision.by.length === 1 ? 'selects' : 'select'} ${pod} for ${direction}, and no rule allows this${audited}`
    case 'rule':
      return `${ruleText(view, decision.rule)} ${decision.action === 'accept' ? 'accepts' : 'denies'} this${audited}`
  }
}
