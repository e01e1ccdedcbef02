// What programs of the eBPF datapath drop because a network policy denies it, by what their maps hold: in native/bpf/policy.h it is what a program does.
import { type Addr } from '#/lib/addr.ts'
import { vxlanName } from '#/model/names.ts'
import { type Direction } from '#/policy/policy.ts'
import { passes, type PredictedStep, stops } from '#/trace/predict-steps.ts'
import {
  indexStruct,
  peerStruct,
  policedStruct,
  policyVerdicts,
  prefix4Struct,
  prefix6Struct,
  verdictKeyStruct,
  verdictStruct,
} from '#/wire/bpf/maps.ts'
import { type Packet, type PredictPod, type Prediction } from './context.ts'
import { isCarried, isGuarded, podEntry, value } from './programs.ts'

const anyKind = 0
/** A program knows an echo request of either family by this. */
const protocolNumbers = { icmp: 1, tcp: 6, udp: 17 } as const
const keyBits = 96

function kindOf(prediction: Prediction, addr: Addr): number {
  const key = (addr.family === 4 ? prefix4Struct : prefix6Struct).encode({ length: addr.bits, addr: addr.toBytes() })
  const bytes = value(prediction, addr.family === 4 ? 'cw_peers4' : 'cw_peers6', key)
  return bytes ? peerStruct.decode(bytes).kind : anyKind
}

function classOf(prediction: Prediction, slot: number, direction: Direction): number {
  const bytes = value(prediction, 'cw_policed', indexStruct.encode({ index: slot }))
  return bytes ? policedStruct.decode(bytes)[direction] : 0
}

/** What a class says of a packet from or to a peer; undefined: nothing. */
function verdictOf(prediction: Prediction, { protocol, port = 0 }: Packet, number: number, kind: number) {
  const key = {
    length: keyBits,
    class: number,
    kind,
    protocol: protocolNumbers[protocol],
    reserved: 0,
    port: protocol === 'icmp' ? 0 : port,
  }
  const bytes = value(prediction, 'cw_verdicts', verdictKeyStruct.encode(key))
  return bytes && verdictStruct.decode(bytes)
}

type Asking = { readonly name: string; readonly device: string }

/** The program that asks for what a pod of this node may send or receive; undefined: none does. */
function programOf(prediction: Prediction, pod: PredictPod, direction: Direction): Asking | undefined {
  const { packet } = prediction
  const sender = prediction.podWith(packet.src)
  if (sender === undefined) {
    const isOfNode = prediction.deps.nodeAddrs().some((addr) => addr.equals(packet.src))
    if (direction === 'egress' || isOfNode) return undefined
    const device = prediction.way.findLast(({ place }) => place === 'receive')?.device ?? ''
    return { name: device === vxlanName ? 'cw_from_tunnel' : 'cw_from_underlay', device }
  }
  const receiver = podEntry(prediction, packet.dst)
  const isToPod = receiver ? prediction.podWith(packet.dst) !== sender : isCarried(prediction, packet.dst)
  const isAsked = isToPod && isGuarded(prediction, sender) && (direction === 'ingress' || sender === pod)
  return isAsked ? { name: 'cw_from_pod', device: sender.hostDevice } : undefined
}

/** The step at which a program drops the packet for a policy of the pod; undefined: none does. */
export function deniedByMaps(prediction: Prediction, pod: PredictPod, direction: Direction): PredictedStep | undefined {
  const { packet, deps } = prediction
  const programs = deps.programs()
  if (programs?.lookUp === undefined || packet.isAnswer) return undefined
  const program = programOf(prediction, pod, direction)
  const [own, peer] = direction === 'egress' ? [packet.src, packet.dst] : [packet.dst, packet.src]
  const entry = podEntry(prediction, own)
  if (program === undefined || entry === undefined) return undefined
  const at = { device: program.device }
  if (programs.denialText === undefined)
    return passes('program', `what the maps of programs hold of network policies is not known here`, at)
  const number = classOf(prediction, entry.slot, direction)
  if (number === 0) return undefined
  const kind = kindOf(prediction, peer)
  const found = verdictOf(prediction, packet, number, kind) ?? verdictOf(prediction, packet, number, anyKind)
  if (found?.verdict !== policyVerdicts.denied) return undefined
  const rule = programs.denialText(found.rule) ?? 'a network policy that is not known here'
  return stops('program', `${program.name} drops it, denied by ${rule}`, at, {
    remedy: `allow the connection in a policy that selects the pod; what policies say of it: causeway policy why ${packet.src} ${packet.dst}`,
  })
}
