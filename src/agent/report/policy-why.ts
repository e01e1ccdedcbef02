// The answer to "may this end reach that one": what the evaluator says, and what this node's kernel has.
import {
  type OpenPortsReport,
  type PolicyWhyReport,
  type PolicyWhyRequest,
  type ToldDirection,
  type ToldEnd,
  type ToldPair,
  type ToldPolicy,
} from '#/api/schemas/policy.ts'
import { inTurns } from '#/kernel/turns.ts'
import { type Addr } from '#/lib/addr.ts'
import {
  type DirectionExplanation,
  type EndExplanation,
  explain,
  type Explanation,
  type PolicyExplanation,
  type RuleExplanation,
} from '#/policy/explain.ts'
import { type Labels, type PolicyView } from '#/policy/cluster.ts'
import { allowedPorts } from '#/policy/allowed-ports.ts'
import { evaluate } from '#/policy/evaluate.ts'
import { portProtocolNames, portProtocols, ruleRefText } from '#/policy/policy.ts'
import { type PolicyPacket } from '#/policy/verdict.ts'
import { portText, protocolText } from '#/policy/words.ts'
import { kernelReport } from './policy-kernel.ts'
import { type Named, resolveEnd } from './policy-names.ts'
import { type PolicySources } from './policy-sources.ts'

const protocols = { tcp: portProtocols.TCP, udp: portProtocols.UDP, sctp: portProtocols.SCTP } as const
const icmp = { 4: 1, 6: 58 } as const

const labelTexts = (labels: Labels): string[] => Object.entries(labels).map(([key, value]) => `${key}=${value}`)

function toldEnd(view: PolicyView, { addr, pod, labels, namespaceLabels, node }: EndExplanation): ToldEnd {
  const home = pod === undefined ? node : view.pods.get(pod)?.node
  return {
    addr,
    ...(pod !== undefined && { pod }),
    ...(home !== undefined && home !== '' && { node: home }),
    ...(labels && { labels: labelTexts(labels) }),
    ...(namespaceLabels && { namespaceLabels: labelTexts(namespaceLabels) }),
  }
}

/** What a rule asks of ports, where no port was asked about: then it is no miss, but the answer. */
function portsAsked(view: PolicyView, { rule: { policy, direction, index }, ports }: RuleExplanation) {
  const rule = view.policies.get(policy)?.rules[direction]?.find((each) => each.index === index)
  if (rule === undefined || rule.ports === 'any' || rule.ports.length !== ports.length) return ports
  const asked = rule.ports.map(portText)
  return ports.map(({ isMatch }, place) => ({ isMatch, text: asked[place]! }))
}

function toldPolicy(view: PolicyView, { rules, ...policy }: PolicyExplanation, isAnyPort: boolean): ToldPolicy {
  return {
    ...policy,
    rules: rules.map((each) => ({
      index: each.rule.index,
      ...(each.name !== undefined && { name: each.name }),
      action: each.action,
      isMatch: each.isMatch,
      peers: each.peers,
      ports: isAnyPort ? portsAsked(view, each) : each.ports,
    })),
  }
}

async function toldDirection(
  sources: PolicySources,
  { direction, pod, decision, text, isDenied, isAudited, policies, changes }: DirectionExplanation,
  isAnyPort: boolean,
): Promise<ToldDirection> {
  const { view, nodeName } = sources
  const node = pod === undefined ? undefined : view.pods.get(pod)?.node
  const kernel = pod !== undefined && node === nodeName ? await kernelReport(sources, pod, direction) : undefined
  return {
    direction,
    ...(pod !== undefined && { pod }),
    ...(node !== undefined && node !== '' && { node }),
    decision: text,
    ...(decision.kind === 'rule' && { decidedBy: ruleRefText(decision.rule) }),
    isDenied,
    isAudited,
    policies: policies.map((each) => toldPolicy(view, each, isAnyPort)),
    changes,
    ...(kernel && { kernel }),
  }
}

/** What is allowed of each protocol. */
async function openPorts(view: PolicyView, src: Addr, dst: Addr): Promise<OpenPortsReport[]> {
  const ranges = await inTurns(allowedPorts(view, { src, dst }))
  const protocol = icmp[src.family]
  return [
    ...portProtocolNames.map((name): OpenPortsReport => {
      const own = ranges.filter((each) => each.protocol === name).map(({ first, last }) => ({ first, last }))
      return { protocol: name, ranges: own, isAllowed: own.length > 0 }
    }),
    { protocol: protocolText(protocol), isAllowed: !evaluate(view, { src, dst, protocol }).isDropped },
  ]
}

async function toldPair(
  sources: PolicySources,
  packet: PolicyPacket,
  { from, to, egress, ingress, isDropped }: Explanation,
  isAnyPort: boolean,
): Promise<ToldPair> {
  const { view } = sources
  const { src, dst, protocol, port } = packet
  return {
    from: toldEnd(view, from),
    to: toldEnd(view, to),
    protocol: protocolText(protocol),
    ...(port !== undefined && { port }),
    egress: await toldDirection(sources, egress, isAnyPort),
    ingress: await toldDirection(sources, ingress, isAnyPort),
    isDropped,
    ...(isAnyPort && { ports: await openPorts(view, src, dst) }),
  }
}

/** Of each family of which both ends have an address the first of each. */
function addrPairs(from: readonly Addr[], to: readonly Addr[]): { src: Addr; dst: Addr }[] {
  return ([4, 6] as const).flatMap((family) => {
    const [src, dst] = [from, to].map((addrs) => addrs.find((each) => each.family === family))
    return src && dst ? [{ src, dst }] : []
  })
}

function unknownText({ unknown, isName }: Extract<Named, { unknown: string }>): string {
  const hint = 'for a Service ask about one of its pods, since policies see packets after its address was translated'
  return isName ? `${unknown}; ${hint}` : unknown
}

/** A text says why there is no answer. */
export async function policyWhyOf(
  sources: PolicySources,
  { from, to, port, protocol }: PolicyWhyRequest,
): Promise<PolicyWhyReport | string> {
  const { view, nodeName } = sources
  const [sender, receiver] = [resolveEnd(view, from, 'sender'), resolveEnd(view, to, 'receiver')]
  if ('unknown' in sender) return unknownText(sender)
  if ('unknown' in receiver) return unknownText(receiver)
  const pairs = addrPairs(sender.addrs, receiver.addrs)
  if (pairs.length === 0) return `${from} and ${to} have no address of the same family`
  const isAnyPort = port === undefined && protocol !== 'icmp'
  const told = pairs.map(({ src, dst }) => {
    const number = protocol === 'icmp' ? icmp[src.family] : protocols[protocol ?? 'tcp']
    const packet = { src, dst, protocol: number, ...(port !== undefined && { port: Number(port) }) }
    return toldPair(sources, packet, explain(view, packet), isAnyPort)
  })
  return { node: nodeName, state: sources.state(), pairs: await Promise.all(told) }
}
