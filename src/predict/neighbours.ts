// Whether a namespace's kernel has the MAC of a next hop, and the right one.
import { type Addr } from '#/lib/addr.ts'
import { neighbourStep } from '#/trace/predict-neighbour.ts'
import { type At, nobodyStep, type PredictedStep } from '#/trace/predict-steps.ts'
import { type Prediction } from './context.ts'
import { type Device, type KernelView } from './kernel-view.ts'

export type NeighbourQuestion = {
  readonly device: Device
  readonly addr: Addr
  readonly who: string
  readonly pod?: string
  readonly expectedMac?: string
}

/** Tells the step. */
export async function neighbourOf(kernel: KernelView, question: NeighbourQuestion): Promise<PredictedStep> {
  const { device, addr, who, pod, expectedMac } = question
  const found = await kernel.neighbour(device, addr)
  const state = found?.state
  const command = `ip neigh del ${addr} dev ${device.name}`
  return neighbourStep({
    at: { device: device.name, ...(pod !== undefined && { pod }) },
    addr: String(addr),
    who,
    ...(state !== undefined && state !== 'none' && { state }),
    ...(found?.mac !== undefined && { mac: found.mac }),
    ...(expectedMac !== undefined && { expectedMac }),
    isPermanent: state === 'permanent',
    flush: pod === undefined ? command : `in the namespace of pod ${pod}: ${command}`,
  })
}

/** Who has an address answers at once on the bridge of a node. */
const bridgeAnswerMs = 200

/** Tells the step of a packet to an address of this node's pods that no pod has; `kernel` is that of the namespace that sends it to a device. */
export async function nobodyOn(
  { deps, packet }: Pick<Prediction, 'deps' | 'packet'>,
  kernel: KernelView,
  { device, pod }: { readonly device: Device; readonly pod?: string },
): Promise<PredictedStep> {
  const neighbour = await kernel.neighbour(device, packet.dst, bridgeAnswerMs)
  const at = { device: device.name, ...(pod !== undefined && { pod }) } satisfies At
  return nobodyStep({ at, node: deps.nodeName, addr: String(packet.dst), ...(neighbour && { neighbour }) })
}
