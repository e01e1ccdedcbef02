// The parts of the way that are in a pod's namespace: what the sender's kernel does, and what the receiver's.
import { type Addr } from '#/lib/addr.ts'
import { type WayAnswer } from '#/wire/netlink/route-lookup.ts'
import { type FitFacts, frameFit, learnedMend, routeFit, sendingMtu } from '#/trace/predict-mtu.ts'
import { type Step } from '#/trace/types.ts'
import { type RouteFacts } from '#/trace/predict-route.ts'
import { type At, type Mend, passes, stops } from '#/trace/predict-steps.ts'
import { intoPod, outOfPod, received, sent } from '#/trace/predict-way.ts'
import { factsOf, type PredictPod, type Prediction } from './context.ts'
import { Firewalls } from './firewalls.ts'
import { type KernelView, type ViewLink } from './kernel-view.ts'
import { neighbourOf, nobodyOn } from './neighbours.ts'
import { hopOf, incomingFacts, isLocal, lookupOf, podRouteStep } from './routes.ts'

/** Opens the pod's namespace; undefined, and a step, when there is none. */
function open(prediction: Prediction, pod: PredictPod): KernelView | undefined {
  const kernel = prediction.deps.openPod(pod)
  if (kernel === undefined)
    prediction.add(
      stops(
        'deliver',
        `the namespace of pod ${pod.pod} is gone`,
        {},
        {
          code: 'CW3104',
          remedy: `delete pod ${pod.pod}, so that it is made anew`,
        },
      ),
    )
  return kernel
}

type Inside = {
  readonly link: ViewLink
  readonly at: At
  readonly nameOf: (index: number) => string
}

/** The pod's own interface; undefined, and a step, when it cannot send or receive. */
function interfaceOf(prediction: Prediction, pod: PredictPod, kernel: KernelView, addr: Addr): Inside | undefined {
  const at: At = { device: pod.ifName, pod: pod.pod }
  const remedy = `delete pod ${pod.pod}, so that it is made anew`
  const { links } = kernel
  const link = links.find(({ name }) => name === pod.ifName)
  if (link === undefined) {
    prediction.add(stops('deliver', `pod ${pod.pod} has no interface ${pod.ifName}`, at, { code: 'CW3105', remedy }))
    return undefined
  }
  if (!link.isUp) {
    const command = `in the namespace of pod ${pod.pod}: ip link set ${pod.ifName} up; what was lost with it, such as routes, needs the pod made anew`
    prediction.add(stops('deliver', `${pod.ifName} of pod ${pod.pod} is down`, at, { remedy: command }))
    return undefined
  }
  if (!kernel.addresses().some((each) => each.addr.equals(addr))) {
    prediction.add(stops('deliver', `no interface of pod ${pod.pod} has ${addr}`, at, { code: 'CW3106', remedy }))
    return undefined
  }
  const names = new Map(links.map(({ index, name }) => [index, name]))
  return { link, at, nameOf: (index) => names.get(index) ?? `if${index}` }
}

/** How a packet comes out of its pod. */
export type Sent =
  /** To the node's network stack by the gateway, or straight to another pod of the node. */
  | { readonly kind: 'gateway' | 'link'; readonly mac: string }
  /** It stays in the pod. */
  | { readonly kind: 'delivered' }
  | { readonly kind: 'stopped' }

/** `macOf` gives the MAC that a next hop has, where that is known. */
export async function sendFromPod(
  prediction: Prediction,
  pod: PredictPod,
  macOf: (addr: Addr, isGateway: boolean) => string | undefined,
): Promise<Sent> {
  using kernel = open(prediction, pod)
  if (kernel === undefined) return { kind: 'stopped' }
  const { packet } = prediction
  const inside = interfaceOf(prediction, pod, kernel, packet.src)
  if (inside === undefined) return { kind: 'stopped' }
  const { link, nameOf } = inside
  const lookup = lookupOf(packet)
  const answer = kernel.lookUp(lookup)
  const hop = hopOf(answer, nameOf)
  const at: At = { device: hop?.device.name ?? link.name, pod: pod.pod }
  const obstacle = missingRoute(prediction, pod, answer)
  const isPassed = prediction.add(podRouteStep(kernel, answer, lookup, { at, nameOf }, obstacle && { obstacle }))
  if (isLocal(answer)) {
    prediction.way.push(...sent('lo', pod.pod), ...received('lo', pod.pod))
    return { kind: 'delivered' }
  }
  if (hop === undefined || !isPassed) return { kind: 'stopped' }
  if (hop.device.name !== link.name) {
    prediction.add(
      passes('route', `it leaves pod ${pod.pod} by ${hop.device.name}, which is not Causeway's: no more is known`, at),
    )
    prediction.way.push(...sent(hop.device.name, pod.pod))
    return { kind: 'stopped' }
  }
  const firewalls = new Firewalls(prediction, { name: pod.pod, kernel })
  for (const hook of ['output', 'postrouting'] as const)
    prediction.add(await firewalls.cross({ packet, hook, layer: 'ip', purpose: 'pods', oif: hop.device }))
  prediction.add(firewalls.summary())
  const mtu = sendingMtu(hop, link)
  prediction.add(routeFit(factsOf(packet), { at, ...mtu }, true, lowMend(prediction, pod, mtu)))
  const nextHop = hop.gateway ?? packet.dst
  const expectedMac = macOf(nextHop, hop.gateway !== undefined)
  const who = hop.gateway ? 'the gateway' : (prediction.podWith(packet.dst)?.pod ?? 'the receiver')
  const isNobodys = hop.gateway === undefined && prediction.isNobodys(packet.dst)
  prediction.add(
    isNobodys
      ? await nobodyOn(prediction, kernel, { device: hop.device, pod: pod.pod })
      : await neighbourOf(kernel, {
          device: hop.device,
          addr: nextHop,
          who,
          pod: pod.pod,
          ...(expectedMac !== undefined && { expectedMac }),
        }),
  )
  // with the bridge nobody answers for the address, and the packet waits in the pod in vain
  if (isNobodys && prediction.deps.programs() === undefined) return { kind: 'stopped' }
  prediction.way.push(...outOfPod({ pod: pod.pod, device: link.name, hostDevice: pod.hostDevice }))
  return { kind: hop.gateway ? 'gateway' : 'link', mac: link.mac }
}

/** Every pod has a route to all pods of the cluster. */
function missingRoute(prediction: Prediction, { pod }: PredictPod, answer: WayAnswer): RouteFacts['obstacle'] {
  const { deps, packet } = prediction
  if (answer.kind !== 'refused' || answer.code !== 'ENETUNREACH' || deps.flannel) return undefined
  if (!deps.clusterCIDRs.some((cidr) => cidr.contains(packet.dst))) return undefined
  const remedy = `delete pod ${pod}, so that it is made anew`
  return { code: 'CW3114', what: `no route of pod ${pod} leads to ${packet.dst}`, remedy }
}

/** What mends an MTU of a pod's route, or of the way, that is lower than planned. */
function lowMend(prediction: Prediction, pod: PredictPod, mtu: Omit<FitFacts, 'at'>): Mend {
  const { mtuBytes, isLearned } = mtu
  const verdict = prediction.verdictOf(prediction.packet.dst)
  const planned = verdict === undefined || verdict.way === 'none' ? undefined : verdict.mtuBytes
  if (planned === undefined || planned <= mtuBytes || prediction.packet.sizeBytes > planned) return {}
  if (isLearned) return learnedMend(mtu)
  return { code: 'CW3111', remedy: `the plan has ${planned}: ${podMtuRemedy(pod.pod)}` }
}

const podMtuRemedy = (pod: string): string =>
  `the agent of this node sets the MTU of pods within a minute; if it stays, delete pod ${pod}, so that it is made anew`

/** The MAC of a pod's interface, without a step; undefined when it is not there. */
export function podMacOf(prediction: Prediction, pod: PredictPod): string | undefined {
  using kernel = prediction.deps.openPod(pod)
  return kernel?.links.find(({ name }) => name === pod.ifName)?.mac
}

/** From the host device into the pod, as far as a process there. */
export async function receiveInPod(prediction: Prediction, pod: PredictPod): Promise<void> {
  using kernel = open(prediction, pod)
  if (kernel === undefined) return
  const { packet } = prediction
  prediction.way.push(...intoPod({ pod: pod.pod, device: pod.ifName, hostDevice: pod.hostDevice }))
  const inside = interfaceOf(prediction, pod, kernel, packet.dst)
  if (inside === undefined) return
  const { link, at, nameOf } = inside
  prediction.add(
    frameFit(
      packet.sizeBytes,
      { at, mtuBytes: link.mtuBytes, of: `${link.name} of pod ${pod.pod}` },
      {
        code: 'CW3111',
        remedy: podMtuRemedy(pod.pod),
      },
    ),
  )
  const lookup = lookupOf(packet, link)
  const answer = kernel.lookUp(lookup)
  const incoming = incomingFacts(kernel, packet.src, link)
  if (
    !prediction.add(podRouteStep(kernel, answer, lookup, { at, nameOf }, { incoming: { ...incoming, isOurs: false } }))
  )
    return
  const firewalls = new Firewalls(prediction, { name: pod.pod, kernel })
  for (const hook of ['prerouting', 'input'] as const)
    prediction.add(await firewalls.cross({ packet, hook, layer: 'ip', purpose: 'pods', iif: link, isLocal: true }))
  prediction.add(firewalls.summary(at))
  deliver(prediction, kernel, pod.pod)
}

const nobodyWaits = 'no process of'

/** Whether the step says that the packet arrives, and that no process waits for it. */
export const isClosedPort = ({ kind, text }: Pick<Step, 'kind' | 'text'>): boolean =>
  kind === 'deliver' && text.startsWith(nobodyWaits)

/** Whether a process waits for the packet; in the node's namespace, or a pod's. */
export function deliver(prediction: Prediction, kernel = prediction.kernel, pod?: string): void {
  const { packet } = prediction
  const { protocol, port, isAnswer } = packet
  const at: At = pod === undefined ? {} : { pod }
  const whose = pod === undefined ? 'this node' : `pod ${pod}`
  if (isAnswer || protocol === 'icmp' || port === undefined) {
    prediction.add(
      passes(
        'deliver',
        isAnswer ? `it reaches ${whose}, which has sent the first packet` : `it reaches ${whose}, whose kernel answers`,
        at,
      ),
    )
    return
  }
  const isWaiting = kernel.isWaitedFor(protocol, port, packet.dst)
  const refusal = protocol === 'tcp' ? 'refuses the connection (RST)' : 'answers that the port is unreachable (ICMP)'
  const name = `${protocol === 'tcp' ? 'TCP' : 'UDP'} port ${port}`
  prediction.add(
    passes(
      'deliver',
      isWaiting
        ? `a process of ${whose} waits on ${name}`
        : `${nobodyWaits} ${whose} waits on ${name}: its kernel ${refusal}`,
      at,
    ),
  )
}
