// Translation of the destination, as kube-proxy and others have written it in chains of type nat, and IPVS with its device.
import { type Translated } from '#/obstacles/firewall/one-packet.ts'
import { endText, type ServiceEnd, serviceStep } from '#/trace/predict-service.ts'
import { type At, passes } from '#/trace/predict-steps.ts'
import { xtComment } from '#/wire/nftables/foreign-rule.ts'
import { ipProtocol, type Prediction } from './context.ts'
import { type Firewalls } from './firewalls.ts'
import { type Device, type TrackedEnd } from './kernel-view.ts'

/** Replaces the packet's destination where rules do so; tells the step. */
export async function translateDestination(
  prediction: Prediction,
  firewalls: Firewalls,
  iif: Device | undefined,
): Promise<void> {
  const { packet } = prediction
  // an answer is translated back by connection tracking, whatever rules say
  if (packet.isAnswer || prediction.isTranslationAsked) return
  prediction.isTranslationAsked = true
  const hook = iif === undefined ? 'output' : 'prerouting'
  const isLocal = prediction.deps.nodeAddrs().some((addr) => addr.equals(packet.dst))
  const crossing = { packet, hook, layer: 'nat', purpose: 'pods', ...(iif && { iif }), isLocal } as const
  const translated = await firewalls.translated(crossing)
  const ends = translated?.found.filter(({ kind }) => kind === 'destination') ?? []
  if (translated === undefined || ends.length === 0) return
  const tracked = await trackedEnd(prediction)
  const chosen: TrackedEnd | undefined = tracked ?? destinationOf(ends[0])
  const told = ends.map((each) => toldEnd(destinationOf(each)))
  const at: At = iif ? { device: iif.name } : {}
  prediction.add(
    serviceStep({
      at,
      dst: endText({ addr: String(packet.dst), ...(packet.port !== undefined && { port: packet.port }) }),
      by: translated.chainName,
      ...nameOf(translated),
      ends: told,
      ...(chosen && { chosen: toldEnd(chosen) }),
      isTracked: tracked !== undefined,
    }),
  )
  const addr = chosen?.addr ?? packet.dst
  const port = chosen?.port ?? packet.port
  prediction.packet = { ...packet, dst: addr, ...(port !== undefined && { port }), isTranslated: true }
  prediction.translatedTo = { addr: String(addr), ...(port !== undefined && { port }), among: ends.length }
}

function destinationOf(target: Translated['found'][number] | undefined): TrackedEnd {
  if (target?.kind !== 'destination') return {}
  const { addr, port } = target
  return { ...(addr && { addr }), ...(port !== undefined && { port }) }
}

const toldEnd = ({ addr, port }: TrackedEnd): ServiceEnd => ({
  ...(addr && { addr: String(addr) }),
  ...(port !== undefined && { port }),
})

/** kube-proxy names its chains, or comments its rules, with the Service. */
function nameOf({ found }: Translated): { readonly name?: string } {
  for (const { path, rule } of found) {
    const chain = path.find((each) => /^(service|external)-[A-Z0-9]+-/.test(each))
    if (chain !== undefined) return { name: chain.replace(/^(service|external)-[A-Z0-9]+-/, '') }
    const comment = rule.comment ?? rule.expressions.flatMap((each) => xtComment(each) ?? [])[0]
    if (comment !== undefined) return { name: comment }
  }
  return {}
}

/** Where connection tracking has sent this very connection; undefined where it has none. */
async function trackedEnd({ kernel, packet }: Prediction): Promise<TrackedEnd | undefined> {
  const { src, sourcePort } = packet
  if (sourcePort === undefined) return undefined
  return kernel.trackedEnd({ src, ipProtocol: ipProtocol(packet), sourcePort })
}

/** The device on which kube-proxy keeps the addresses of Services for IPVS. */
const ipvsDevice = 'kube-ipvs0'

/** Whether IPVS has the address: then it, and no rule, decides where the packet goes, and that is not told here. */
export function isOfIpvs(prediction: Prediction, device: string | undefined): boolean {
  if (device !== ipvsDevice) return false
  prediction.add(
    passes('service', `${prediction.packet.dst} is an address of ${ipvsDevice}: IPVS chooses the pod (ipvsadm -Ln)`, {
      device: ipvsDevice,
    }),
  )
  return true
}
