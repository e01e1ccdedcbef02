// The part of the way that is in the node's own namespace: between pods' devices and the underlay.
import { type Addr } from '#/lib/addr.ts'
import { withoutFingerprint } from '#/obstacles/firewall/one-packet.ts'
import { fdbStep, portStep } from '#/trace/predict-bridge.ts'
import { frameFit, learnedMend, routeFit, sendingMtu } from '#/trace/predict-mtu.ts'
import { deadDevice, noOwnerStep, passes, stops } from '#/trace/predict-steps.ts'
import { sent } from '#/trace/predict-way.ts'
import { factsOf, type PredictPod, type Prediction } from './context.ts'
import { type Crossing, type Firewalls, isBridgeFiltered } from './firewalls.ts'
import { type Device, type ViewLink } from './kernel-view.ts'
import { neighbourOf, nobodyOn } from './neighbours.ts'
import { podMacOf, receiveInPod, deliver } from './pods.ts'
import { policyOf } from './policies.ts'
import { isBridged, othersAt } from './programs.ts'
import { ask, type Hop, isLocal, lookupOf, plannedWay } from './routes.ts'
import { isOfIpvs, translateDestination } from './services.ts'
import { sendByFdb } from './flannel-tunnel.ts'
import { sendOuter } from './tunnel.ts'

/** Whether the pod's host device is there and takes frames; tells what is wrong. */
export function isPortFine(prediction: Prediction, pod: PredictPod): boolean {
  const link = prediction.link(pod.hostDevice)
  const bridge = link?.master === undefined ? undefined : prediction.nameOf(link.master)
  const told = link && {
    isUp: link.isUp,
    isBlocked: link.port?.isBlocked === true,
    ...(bridge !== undefined && { bridge }),
  }
  return prediction.add(
    portStep({ name: pod.hostDevice, pod: pod.pod, ...(told && { link: told }) }, prediction.deps.podDevice()),
  )
}

/** The chains at the egress of a device. */
async function atEgress(prediction: Prediction, firewalls: Firewalls, oif: Device): Promise<void> {
  const { packet } = prediction
  prediction.add(await firewalls.cross({ packet, hook: 'egress', layer: 'device', purpose: 'pods', oif }))
}

/** Over the bridge to the port of a pod, and into the pod. */
export async function overBridge(prediction: Prediction, firewalls: Firewalls, pod: PredictPod): Promise<void> {
  const { deps } = prediction
  const bridge = prediction.link(deps.podDevice())
  const mac = podMacOf(prediction, pod)
  if (bridge && mac !== undefined) {
    const entry = prediction.kernel.fdb(bridge, mac)
    prediction.add(
      fdbStep({
        bridge: bridge.name,
        mac,
        port: pod.hostDevice,
        ...(entry && { found: prediction.nameOf(entry.index) }),
        isStatic: entry?.origin === 'static',
      }),
    )
  }
  isPortFine(prediction, pod)
  const port = prediction.link(pod.hostDevice)
  if (port) {
    prediction.add(
      frameFit(prediction.packet.sizeBytes, {
        at: { device: port.name },
        mtuBytes: port.mtuBytes,
        of: `device ${port.name}`,
      }),
    )
    othersAt(prediction, port, 'egress')
    await atEgress(prediction, firewalls, port)
  }
  await receiveInPod(prediction, pod)
}

/**
 * Through the node's network stack; `iif` is absent for a packet of the node itself. Ends with the packet delivered here, in a pod, or on its
 * way to another node.
 */
export async function throughStack(
  prediction: Prediction,
  firewalls: Firewalls,
  iif: ViewLink | undefined,
): Promise<void> {
  const cross = async (rest: Pick<Crossing, 'hook'> & Partial<Crossing>): Promise<void> => {
    const { packet, deps } = prediction
    // a firewall that keeps others out is no fault of the network of pods
    const isOfPods = [packet.src, packet.dst].every(
      (addr) => prediction.isOwnPodAddr(addr) || prediction.verdictOf(addr),
    )
    const step = await firewalls.cross({ packet, layer: 'ip', purpose: 'pods', ...(iif && { iif }), ...rest })
    const isToNode = rest.hook === 'input' && iif?.name === deps.podDevice()
    if (step?.isObstacle && !isOfPods && !isToNode) {
      const { code: _code, ...others } = step
      prediction.add(others)
    } else prediction.add(step)
  }
  if (iif) {
    await cross({ hook: 'ingress', layer: 'device' })
    const isHere = prediction.deps.nodeAddrs().some((addr) => addr.equals(prediction.packet.dst))
    await cross({ hook: 'prerouting', isLocal: isHere })
  }
  await translateDestination(prediction, firewalls, iif)
  const { packet } = prediction
  const lookup = lookupOf(packet, iif)
  const { answer, hop, isPassed } = await ask(prediction, lookup)
  if (isLocal(answer)) {
    const device = answer.kind === 'way' ? answer.route?.nextHops[0]?.oif : undefined
    if (isOfIpvs(prediction, device === undefined ? undefined : prediction.nameOf(device))) return
    if (iif)
      await cross({ hook: 'input', isLocal: true, purpose: iif.name === prediction.deps.podDevice() ? 'node' : 'pods' })
    prediction.add(firewalls.summary())
    deliver(prediction, undefined)
    return
  }
  if (hop === undefined || !isPassed) return
  if (prediction.hasNoOwner(packet.dst)) prediction.add(noOwnerStep(String(packet.dst), { device: hop.device.name }))
  const verdict = prediction.verdictOf(packet.dst)
  if (verdict?.way === 'none') {
    const text = `no way leads to pods of node ${verdict.node}: ${verdict.reason}`
    prediction.add(stops('route', text, {}, { code: 'CW1201', remedy: 'see causeway status of this node' }))
  }
  await cross(iif ? { hook: 'forward', oif: hop.device } : { hook: 'output', oif: hop.device })
  await cross({ hook: 'postrouting', oif: hop.device })
  const source = await translateSource(prediction, firewalls, hop.device)
  prediction.add(firewalls.summary())
  const out = prediction.link(hop.device.name)
  if (out && !prediction.add(deviceStep(out))) return
  fitRoute(prediction, hop, out, iif === undefined)
  const { deps } = prediction
  const isToPods = hop.device.name === deps.podDevice()
  // what policies say was said before the source is replaced
  if (isToPods) return await toOwnPod(prediction, firewalls, hop)
  if (source) prediction.packet = { ...prediction.packet, src: source }
  if (hop.route.encap) await sendOuter(prediction, firewalls, hop, hop.route.encap)
  else if (deps.flannel && out?.kind === 'vxlan') await sendByFdb(prediction, firewalls, hop, out)
  else await leave(prediction, firewalls, hop)
  if (source && prediction.leaves) prediction.leaves = { ...prediction.leaves, src: String(source) }
}

function deviceStep({ name, isUp }: ViewLink) {
  return isUp
    ? undefined
    : stops('bridge', `device ${name} is down`, { device: name }, { remedy: `ip link set ${name} up` })
}

function fitRoute(prediction: Prediction, hop: Hop, out: ViewLink | undefined, isOwn: boolean): void {
  if (out === undefined) return
  const mtu = sendingMtu(hop, out)
  // of the world outside nobody has planned anything
  const mend = plannedWay(prediction, prediction.packet.dst) === undefined ? {} : learnedMend(mtu)
  prediction.add(routeFit(factsOf(prediction.packet), { at: { device: hop.device.name }, ...mtu }, isOwn, mend))
}

/** The source that the packet has from here on, where it is replaced. */
async function translateSource(prediction: Prediction, firewalls: Firewalls, oif: Device): Promise<Addr | undefined> {
  const { packet } = prediction
  if (packet.isAnswer) return undefined
  const crossing = { packet, hook: 'postrouting', layer: 'nat', purpose: 'pods', oif } as const
  const translated = await firewalls.translated(crossing)
  const first = translated?.found.find(({ kind }) => kind === 'source')
  if (translated === undefined || first === undefined || first.kind !== 'source') return undefined
  const own = first.addr ?? sourceOf(prediction, oif)
  const into = own ? String(own) : `an address of ${oif.name}`
  const comment = first.rule.comment === undefined ? '' : ` (${withoutFingerprint(first.rule.comment)})`
  const may = first.isSure ? 'becomes' : 'may become'
  prediction.add(
    passes('nftables', `the source ${may} ${into}, by chain ${translated.chainName}${comment}`, { device: oif.name }),
  )
  return first.isSure ? own : undefined
}

/** The address that the kernel would choose for packets of the node by that device. */
function sourceOf({ kernel, packet }: Prediction, oif: Device): Addr | undefined {
  const answer = kernel.lookUp({ dst: packet.dst, oif: oif.index })
  return answer.kind === 'way' ? answer.chosen?.preferredSource : undefined
}

async function toOwnPod(prediction: Prediction, firewalls: Firewalls, hop: Hop): Promise<void> {
  const { packet } = prediction
  const pod = prediction.podWith(packet.dst)
  if (pod === undefined) {
    prediction.add(await nobodyOn(prediction, prediction.kernel, hop))
    return
  }
  prediction.add(answerStep(prediction, firewalls, pod))
  await policyOf(prediction, pod, 'ingress')
  const expectedMac = podMacOf(prediction, pod)
  prediction.add(
    await neighbourOf(prediction.kernel, {
      device: hop.device,
      addr: packet.dst,
      who: `pod ${pod.pod}`,
      ...(expectedMac !== undefined && { expectedMac }),
    }),
  )
  await atEgress(prediction, firewalls, hop.device)
  prediction.way.push(...sent(hop.device.name))
  await overBridge(prediction, firewalls, pod)
}

/**
 * The answer of a Service's pod to another pod of its node is translated back only where the node's stack sees it: frames of one bridge go from port
 * to port.
 */
function answerStep(prediction: Prediction, firewalls: Firewalls, to: PredictPod) {
  const { packet } = prediction
  const from = prediction.podWith(packet.src)
  const isPastStack =
    packet.isTranslated &&
    from &&
    isBridged(prediction, from, to) &&
    !firewalls.routesPods &&
    !isBridgeFiltered(prediction.kernel, packet.src.family)
  if (!isPastStack) return undefined
  const name = `net.bridge.bridge-nf-call-${packet.src.family === 4 ? 'iptables' : 'ip6tables'}`
  return stops(
    'service',
    `pod ${to.pod} answers over the bridge, where nobody translates its address back: ${name} is not 1`,
    { device: prediction.deps.podDevice() },
    {
      remedy: `modprobe br_netfilter && sysctl -w ${name}=1, and where modules and sysctls are configured (docs/install.md)`,
    },
  )
}

/** Out of the node by a device of the underlay, without a tunnel. */
async function leave(prediction: Prediction, firewalls: Firewalls, hop: Hop): Promise<void> {
  const { packet } = prediction
  const { device, gateway } = hop
  othersAt(prediction, device, 'egress')
  const link = prediction.link(device.name)
  if (link && device.name !== 'lo') prediction.add(deadDevice(link))
  if (link?.isEthernet && !link.hasNoArp && device.name !== 'lo') {
    const addr = gateway ?? packet.dst
    const name = prediction.nodeWith(addr)
    const who = name === undefined ? (gateway ? 'the router' : 'the receiver') : `node ${name}`
    prediction.add(await neighbourOf(prediction.kernel, { device, addr, who }))
  }
  await atEgress(prediction, firewalls, device)
  prediction.way.push(...sent(device.name))
  prediction.leaves = { device: device.name }
}

/** Frames between two pods of the node that cross the bridge without the node's network stack. */
export async function bridged(
  prediction: Prediction,
  firewalls: Firewalls,
  from: PredictPod,
  to: PredictPod,
): Promise<void> {
  const { packet, deps } = prediction
  const [iif, oif] = [prediction.link(from.hostDevice), prediction.link(to.hostDevice)]
  const bridge = deps.podDevice()
  const frame = { packet, purpose: 'pods', bridge } as const
  const cross = async (rest: Pick<Crossing, 'hook' | 'layer'> & Partial<Crossing>): Promise<void> => {
    prediction.add(await firewalls.cross({ ...frame, ...rest }))
  }
  if (iif) await cross({ hook: 'prerouting', layer: 'bridge', iif })
  // with bridge-netfilter the chains for IP see frames too, as packets that come and go by the bridge
  const device = prediction.link(bridge)
  const isSeenByIp = isBridgeFiltered(prediction.kernel, packet.src.family) && device !== undefined
  const ip = { packet, purpose: 'bridged' } as const
  if (isSeenByIp) {
    prediction.add(await firewalls.cross({ ...ip, hook: 'prerouting', layer: 'ip', iif: device }))
    prediction.add(await firewalls.cross({ ...ip, hook: 'forward', layer: 'ip', iif: device, oif: device }))
  }
  if (iif && oif) await cross({ hook: 'forward', layer: 'bridge', iif, oif })
  if (oif) await cross({ hook: 'postrouting', layer: 'bridge', oif })
  prediction.add(firewalls.summary())
  await policyOf(prediction, to, 'ingress')
  await overBridge(prediction, firewalls, to)
}
