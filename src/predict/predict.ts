// What this node's kernel would do with a packet, asked of the kernel step by step. No packet of it is sent, and nothing is
// changed, but that the kernel asks for MACs that it does not have.
import { type TracePrediction } from '#/api/schemas/trace-predict.ts'
import { type Addr } from '#/lib/addr.ts'
import { frameFit } from '#/trace/predict-mtu.ts'
import { stops } from '#/trace/predict-steps.ts'
import { received, sent } from '#/trace/predict-way.ts'
import { type Packet, type PredictDeps, type PredictPod, Prediction } from './context.ts'
import { Firewalls, isBridgeFiltered } from './firewalls.ts'
import { type ViewLink } from './kernel-view.ts'
import { bridged, isPortFine, throughStack } from './node.ts'
import { deliver, podMacOf, sendFromPod } from './pods.ts'
import { policyOf } from './policies.ts'
import { fromPod, isBridged, isGuarded, othersAt } from './programs.ts'
import { hopOf } from './routes.ts'
import { translateDestination } from './services.ts'
import { receiveOuter } from './tunnel.ts'

/** Where the packet begins on this node. */
export type Beginning =
  | { readonly kind: 'pod'; readonly pod: PredictPod }
  | { readonly kind: 'node' }
  /** `outerSrc`: the tunnel end from which it comes; absent: as the plan has it. */
  | { readonly kind: 'underlay'; readonly isNative: boolean; readonly outerSrc?: Addr }

/** Rejects with what `openNode` or the kernel throws, when it cannot be asked. */
export async function predict(deps: PredictDeps, packet: Packet, beginning: Beginning): Promise<TracePrediction> {
  using kernel = deps.openNode()
  const prediction = new Prediction(deps, kernel, packet)
  const firewalls = new Firewalls(prediction)
  switch (beginning.kind) {
    case 'pod':
      await fromOwnPod(prediction, firewalls, beginning.pod)
      break
    case 'node':
      await fromNode(prediction, firewalls)
      break
    case 'underlay': {
      const device = beginning.isNative
        ? receiveNative(prediction)
        : await receiveOuter(prediction, firewalls, beginning.outerSrc)
      if (device) await throughStack(prediction, firewalls, device)
      break
    }
    default:
      beginning satisfies never
  }
  return prediction.result
}

async function fromNode(prediction: Prediction, firewalls: Firewalls): Promise<void> {
  const { deps, packet } = prediction
  const isOwn = deps.nodeAddrs().some((addr) => addr.equals(packet.dst))
  if (isOwn) {
    prediction.way.push(...sent('lo'), ...received('lo'))
    deliver(prediction, undefined)
    return
  }
  await throughStack(prediction, firewalls, undefined)
}

async function fromOwnPod(prediction: Prediction, firewalls: Firewalls, pod: PredictPod): Promise<void> {
  const { deps } = prediction
  const bridge = prediction.link(deps.podDevice())
  const to = prediction.podWith(prediction.packet.dst)
  const isOverBridge = to !== undefined && to !== pod && isBridged(prediction, pod, to) && !firewalls.routesPods
  const hasPrograms = isGuarded(prediction, pod)
  const sending = await sendFromPod(prediction, pod, (_, isGateway) => {
    // the program at the host device sets the MAC itself, whichever the pod has taken
    if (hasPrograms) return undefined
    return isGateway ? bridge?.mac : to && podMacOf(prediction, to)
  })
  if (sending.kind === 'stopped') return
  if (sending.kind === 'delivered') {
    deliverToItself(prediction, pod)
    return
  }
  if (!isPortFine(prediction, pod)) return
  const host = prediction.link(pod.hostDevice)!
  const { packet } = prediction
  prediction.add(
    frameFit(packet.sizeBytes, { at: { device: host.name }, mtuBytes: host.mtuBytes, of: `device ${host.name}` }),
  )
  othersAt(prediction, host, 'ingress')
  const atHost = { packet, hook: 'ingress', layer: 'device', purpose: 'pods', iif: host } as const
  prediction.add(await firewalls.cross(atHost))
  if (!fromPod(prediction, pod, host, sending.mac)) return
  await policyOf(prediction, pod, 'egress')
  if (sending.kind === 'link' && to !== undefined && isOverBridge) {
    await bridged(prediction, firewalls, pod, to)
    return
  }
  if (bridge?.isUp !== true) {
    const what = bridge === undefined ? 'is not there' : 'is down'
    prediction.add(
      stops(
        'bridge',
        `the bridge of pods, ${deps.podDevice()}, ${what}`,
        { device: deps.podDevice() },
        {
          code: 'CW2001',
          remedy: 'the agent of this node makes it again within a moment; if not, see causeway status for why',
        },
      ),
    )
    return
  }
  const end = await endOverBridge(prediction, firewalls, bridge)
  if (end !== undefined && end !== pod) {
    await bridged(prediction, firewalls, pod, end)
    return
  }
  prediction.way.push(...received(bridge.name))
  await throughStack(prediction, firewalls, bridge)
}

/**
 * With bridge-netfilter a Service's address is translated while the frame is on the bridge. Where that leads to a pod of the node, the kernel hands the
 * frame to its port itself.
 */
async function endOverBridge(
  prediction: Prediction,
  firewalls: Firewalls,
  bridge: ViewLink,
): Promise<PredictPod | undefined> {
  const { family } = prediction.packet.src
  if (!isBridgeFiltered(prediction.kernel, family)) return undefined
  await translateDestination(prediction, firewalls, bridge)
  const { packet } = prediction
  return packet.isTranslated ? prediction.podWith(packet.dst) : undefined
}

function deliverToItself(prediction: Prediction, pod: PredictPod): void {
  prediction.add({ kind: 'deliver', text: `it stays in pod ${pod.pod}`, isObstacle: false, pod: pod.pod })
}

/** Without a tunnel it comes by the device by which packets go back, as far as this node knows. */
function receiveNative(prediction: Prediction): ViewLink | undefined {
  const { packet, kernel } = prediction
  const verdict = prediction.verdictOf(packet.src)
  const planned = verdict?.way === 'native' ? verdict.nextHops[0]?.device : undefined
  const back = planned ?? hopOf(kernel.lookUp({ dst: packet.src }), prediction.nameOf)?.device.name
  const device = back === undefined ? undefined : prediction.link(back)
  if (device === undefined) {
    prediction.add(stops('route', `no route leads back to ${packet.src}: by which device it comes is not known`))
    return undefined
  }
  prediction.way.push(...received(device.name))
  othersAt(prediction, device, 'ingress')
  return device
}
