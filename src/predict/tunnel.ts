// The outer packet of the tunnel: how it leaves this node, and how it comes to it.
import { lookupCommand } from '#/wire/netlink/route-lookup.ts'
import { type Addr } from '#/lib/addr.ts'
import { vtepGateways, vtepMac, vxlanName } from '#/model/names.ts'
import { outerFit, overheadBytes, sendingMtu } from '#/trace/predict-mtu.ts'
import { isFiltered, rpFilterStop } from '#/trace/predict-route.ts'
import { deadDevice, passes, stops } from '#/trace/predict-steps.ts'
import { received, sent } from '#/trace/predict-way.ts'
import { type Encap } from '#/wire/netlink/route.ts'
import { type Packet, type Prediction } from './context.ts'
import { deviceMend } from './flannel.ts'
import { type Firewalls } from './firewalls.ts'
import { type Device, type ViewLink } from './kernel-view.ts'
import { neighbourOf } from './neighbours.ts'
import { fromTunnel, othersAt } from './programs.ts'
import { ask, type Hop, hopOf, incomingFacts, isLocal, lookupOf } from './routes.ts'

/** The tunnel's packet; its source port is a hash that only the kernel knows. */
function outerOf({ packet, deps }: Prediction, src: Addr, dst: Addr): Packet {
  return {
    src,
    dst,
    protocol: 'udp',
    port: deps.vxlanPort,
    sizeBytes: packet.sizeBytes + overheadBytes[src.family],
    mayFragment: true,
    isAnswer: false,
  }
}

const isInventedVtep = (addr: Addr | undefined): boolean =>
  addr !== undefined && [vtepGateways[4], vtepGateways[6]].includes(String(addr) as (typeof vtepGateways)[4 | 6])

/** Into the tunnel, and out of the node. */
export async function sendOuter(prediction: Prediction, firewalls: Firewalls, hop: Hop, encap: Encap): Promise<void> {
  const { device, gateway } = hop
  if (gateway)
    prediction.add(
      await neighbourOf(prediction.kernel, {
        device,
        addr: gateway,
        who: 'the VTEP',
        ...(isInventedVtep(gateway) && { expectedMac: vtepMac }),
      }),
    )
  await sendEncapsulated(prediction, firewalls, device, encap)
}

/** The packet is given to the tunnel's device, which has the other end from a route or from its own table. */
export async function sendEncapsulated(
  prediction: Prediction,
  firewalls: Firewalls,
  device: Device,
  encap: Encap,
): Promise<void> {
  const { deps, packet } = prediction
  prediction.way.push(...sent(device.name))
  prediction.add(await firewalls.cross({ packet, hook: 'egress', layer: 'device', purpose: 'pods', oif: device }))
  const node = prediction.nodeWith(encap.dst)
  const to = `${encap.dst}${node === undefined ? '' : ` (node ${node})`}`
  const tunnel = `VXLAN from ${encap.src} to ${to}, VNI ${encap.vni}, UDP port ${deps.vxlanPort}`
  prediction.add(passes('tunnel', tunnel, { device: device.name }))
  const outer = outerOf(prediction, encap.src, encap.dst)
  const { hop: outerHop, isPassed } = await ask(prediction, lookupOf(outer))
  if (outerHop === undefined || !isPassed) return
  const oif = outerHop.device
  const common = { packet: outer, purpose: 'tunnel', isUntracked: true, oif } as const
  for (const hook of ['output', 'postrouting'] as const)
    prediction.add(await firewalls.cross({ ...common, hook, layer: 'ip' }))
  prediction.add(await firewalls.cross({ ...common, hook: 'egress', layer: 'device' }))
  prediction.add(firewalls.summary({ device: oif.name }, "the tunnel's packet"))
  const link = prediction.link(oif.name)
  if (link) prediction.add(deadDevice(link))
  if (link)
    prediction.add(
      outerFit(packet.sizeBytes, encap.dst.family, { at: { device: oif.name }, ...sendingMtu(outerHop, link) }),
    )
  othersAt(prediction, oif, 'egress')
  if (link?.isEthernet && !link.hasNoArp) {
    const addr = outerHop.gateway ?? encap.dst
    const name = prediction.nodeWith(addr)
    prediction.add(
      await neighbourOf(prediction.kernel, {
        device: oif,
        addr,
        who: name === undefined ? 'the router' : `node ${name}`,
      }),
    )
  }
  prediction.way.push(...sent(oif.name))
  prediction.leaves = { device: oif.name, outerSrc: String(encap.src), outerDst: String(encap.dst) }
}

/** The tunnel's ends and the device by which its packets come from the node that has the sender; undefined, and a step, when none is known. */
function ends(prediction: Prediction, told: Addr | undefined): { readonly src: Addr; readonly dst: Addr } | undefined {
  const verdict = prediction.verdictOf(prediction.packet.src)
  const planned = verdict?.way === 'vxlan' ? verdict.tunnel : undefined
  const src = told ?? planned?.dst
  const dst = src && (planned?.dst.equals(src) === true ? planned.src : sourceTo(prediction, src))
  return src && dst && { src, dst }
}

/** The address by which this node sends to another one. */
function sourceTo({ kernel }: Prediction, dst: Addr): Addr | undefined {
  const answer = kernel.lookUp({ dst })
  return answer.kind === 'way' ? answer.chosen?.preferredSource : undefined
}

/** Out of the tunnel; gives the device by which the inner packet goes on. */
export async function receiveOuter(
  prediction: Prediction,
  firewalls: Firewalls,
  outerSrc: Addr | undefined,
): Promise<ViewLink | undefined> {
  const { deps } = prediction
  const found = ends(prediction, outerSrc)
  if (found === undefined) {
    prediction.add(stops('tunnel', `no tunnel to the node of ${prediction.packet.src} is known here`))
    return undefined
  }
  const { src, dst } = found
  // which device it comes by, only the network knows: mostly that by which packets go back
  const back = hopOf(prediction.kernel.lookUp({ dst: src, src: dst }), prediction.nameOf)
  const underlay = back && prediction.link(back.device.name)
  if (underlay === undefined) {
    prediction.add(stops('route', `no route leads back to ${src}: ${lookupCommand({ dst: src, src: dst })}`))
    return undefined
  }
  prediction.way.push(...received(underlay.name))
  const outer = outerOf(prediction, src, dst)
  othersAt(prediction, underlay, 'ingress')
  const common = { packet: outer, purpose: 'tunnel', isUntracked: true, iif: underlay } as const
  prediction.add(await firewalls.cross({ ...common, hook: 'ingress', layer: 'device' }))
  prediction.add(await firewalls.cross({ ...common, hook: 'prerouting', layer: 'ip', isLocal: true }))
  if (!isTaken(prediction, outer, underlay)) return undefined
  prediction.add(await firewalls.cross({ ...common, hook: 'input', layer: 'ip', isLocal: true }))
  prediction.add(firewalls.summary({ device: underlay.name }, "the tunnel's packet"))
  const name = deps.flannel?.device(prediction.packet.src.family) ?? vxlanName
  const device = prediction.link(name)
  if (device?.isUp !== true || device.vxlan?.port !== deps.vxlanPort) {
    const what =
      device === undefined
        ? 'is not there'
        : device.isUp
          ? `listens on UDP port ${device.vxlan?.port}, and not on ${deps.vxlanPort}`
          : 'is down'
    prediction.add(stops('tunnel', `${name} ${what}`, { device: name }, deviceMend(prediction)))
    return undefined
  }
  const from = prediction.nodeWith(src)
  prediction.add(
    passes('tunnel', `VXLAN from ${src}${from === undefined ? '' : ` (node ${from})`} to ${dst} is taken out`, {
      device: underlay.name,
      next: name,
    }),
  )
  prediction.way.push(...received(name))
  othersAt(prediction, device, 'ingress')
  fromTunnel(prediction, name, src)
  return device
}

/** Whether the kernel takes the outer packet as one for this node. */
function isTaken(prediction: Prediction, outer: Packet, underlay: ViewLink): boolean {
  const lookup = lookupOf(outer, underlay)
  const answer = prediction.kernel.lookUp(lookup)
  if (isLocal(answer)) return true
  const incoming = incomingFacts(prediction.kernel, outer.src, underlay)
  if (answer.kind === 'refused' && isFiltered(answer.code, incoming)) {
    const stop = rpFilterStop(incoming)
    return prediction.add(stops('route', stop.text, { device: underlay.name }, stop))
  }
  const what =
    answer.kind === 'refused'
      ? `the kernel does not take it (${answer.code})`
      : `${outer.dst} is no address of this node`
  return prediction.add(
    stops(
      'route',
      `the tunnel's packet from ${outer.src}: ${what}`,
      { device: underlay.name },
      { remedy: `ask the kernel yourself: ${lookupCommand(lookup)}` },
    ),
  )
}
