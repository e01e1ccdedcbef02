// What the kernel is asked about one pod CIDR. Pure.
import { type Lookup } from '#/wire/netlink/route-lookup.ts'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type PlannedWay } from '#/obstacles/kernel-way.ts'
import { addressIn } from './foreign-parts.ts'

export type Question = {
  readonly lookup: Lookup
  readonly way: PlannedWay
  /** What is asked about, and whose it is: made a text ("10.244.2.0/24 of node-2") only where the answer is a finding. */
  readonly about: Addr | Prefix
  readonly owner: string
  /** Whether the answer counts for the whole pod CIDR. */
  readonly isWhole: boolean
}

type Device = { readonly index: number; readonly name: string }

/** A packet of another node's pod, and the device that it comes in by. */
export type Arrival = { readonly src: Addr; readonly iif: Device }

/** Who asks: the device of pods, and this node's pod CIDRs. Without a device only packets of the node itself are asked about. */
export type Asker = {
  readonly device: Device | undefined
  /** One for each device and family by which pods of other nodes reach this node; found only where it is asked for. */
  readonly arrivals: () => readonly Arrival[]
  readonly ownCIDRs: readonly Prefix[]
  /** Whether rules may give packets of the node itself another way than those of pods; otherwise one question answers for both. */
  readonly asksForNode: boolean
}

/** A pod's packet to `dst`; undefined when this node has no pods of that family. */
function ofPod(dst: Addr, { device, ownCIDRs }: Asker): Lookup | undefined {
  const cidr = ownCIDRs.find(({ family }) => family === dst.family)
  return device && cidr && { dst, src: cidr.size > 3n ? cidr.at(3) : cidr.addr, iif: device }
}

/** `parts` are addresses of the CIDR to which others have routes of their own. */
export function questionsAbout(verdict: Verdict, parts: readonly Addr[], asker: Asker): Question[] {
  const { dst: cidr, node: owner } = verdict
  const way: PlannedWay = { kind: 'verdict', verdict, cidr }
  const dst = addressIn(cidr)
  const ofAPod = ofPod(dst, asker)
  // asked about thousands of nodes, so no lists are made to be joined
  const questions: Question[] = []
  if (ofAPod) questions.push({ lookup: ofAPod, way, about: cidr, owner, isWhole: true })
  if (!ofAPod || asker.asksForNode) questions.push({ lookup: { dst }, way, about: cidr, owner, isWhole: true })
  // packets to a next hop look for no way to it: what is in that way is the node's own trouble, and of its next route
  const isWhole = verdict.way === 'vxlan'
  for (const lookup of lookupsOfPeer(verdict))
    questions.push({ lookup, way: { kind: 'node', name: owner }, about: lookup.dst, owner, isWhole })
  for (const part of parts)
    questions.push({ lookup: ofPod(part, asker) ?? { dst: part }, way, about: part, owner, isWhole: false })
  return questions
}

/** The packets that carry those of pods to the other node, or to the router on the way to it. */
function lookupsOfPeer(verdict: Verdict): Lookup[] {
  switch (verdict.way) {
    case 'vxlan':
      return [{ dst: verdict.tunnel.dst, src: verdict.tunnel.src }]
    case 'native':
      // a link-local address has no way without its device
      return verdict.nextHops.flatMap(({ gateway }) => (gateway.isLinkLocal ? [] : [{ dst: gateway }]))
    case 'none':
      return []
    default:
      return verdict satisfies never
  }
}

/** What is asked about a pod CIDR of this node itself; nothing without a device of pods, which is told as a failure of that device. */
export function questionsAboutOwn(cidr: Prefix, parts: readonly Addr[], asker: Asker): Question[] {
  const { device, arrivals } = asker
  if (device === undefined) return []
  const way: PlannedWay = { kind: 'own', device: device.name, cidr }
  const ask = (dst: Addr, about: Addr | Prefix, isWhole: boolean): Question[] =>
    [
      ofPod(dst, asker),
      { dst },
      ...arrivals().flatMap(({ src, iif }) => (src.family === dst.family ? { dst, src, iif } : [])),
    ].flatMap((lookup) => (lookup ? [{ lookup, way, about, owner: 'this node', isWhole }] : []))
  return [...ask(addressIn(cidr), cidr, true), ...parts.flatMap((part) => ask(part, part, false))]
}
