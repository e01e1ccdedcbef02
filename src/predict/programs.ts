// What programs of the eBPF datapath do with the packet, by what their maps hold; and which programs of others see it.
import { type Addr } from '#/lib/addr.ts'
import { type BpfHook, ownerNumber } from '#/model/bpf.ts'
import { type ProgramFacts, programStep, tunnelOwnerStep } from '#/trace/predict-program.ts'
import { passes } from '#/trace/predict-steps.ts'
import {
  addr4Struct,
  addr6Struct,
  indexStruct,
  type MapName,
  nodeStruct,
  ownerStruct,
  podFlags,
  podStruct,
  portStruct,
  prefix4Struct,
  prefix6Struct,
  ways,
} from '#/wire/bpf/maps.ts'
import { wayName } from '#/wire/bpf/words.ts'
import { type PredictPod, type Prediction } from './context.ts'
import { type Device } from './kernel-view.ts'

export function value(prediction: Prediction, map: MapName, key: Uint8Array): Uint8Array | undefined {
  return prediction.deps.programs()?.lookUp?.(map, key)
}

export function podEntry(prediction: Prediction, addr: Addr) {
  const key = (addr.family === 4 ? addr4Struct : addr6Struct).encode({ addr: addr.toBytes() })
  const bytes = value(prediction, addr.family === 4 ? 'cw_pods4' : 'cw_pods6', key)
  return bytes && podStruct.decode(bytes)
}

/** The entry with the longest prefix that has the address. */
function nodeEntry(prediction: Prediction, addr: Addr) {
  const key = (addr.family === 4 ? prefix4Struct : prefix6Struct).encode({ length: addr.bits, addr: addr.toBytes() })
  const bytes = value(prediction, addr.family === 4 ? 'cw_nodes4' : 'cw_nodes6', key)
  return bytes && nodeStruct.decode(bytes)
}

/** Whether programs carry what goes to the node that owns an address. */
export function isCarried(prediction: Prediction, addr: Addr): boolean {
  const way = nodeEntry(prediction, addr)?.way ?? ways.none
  return way !== ways.none && way !== ways.local
}

const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)

const bytesOfEnd = (addr: Addr): Uint8Array =>
  addr.family === 4 ? Uint8Array.from([...mapped, ...addr.toBytes()]) : addr.toBytes()

function ownerOfEnd(prediction: Prediction, addr: Addr): bigint | undefined {
  const found = value(prediction, 'cw_ends', addr6Struct.encode({ addr: bytesOfEnd(addr) }))
  return found && ownerStruct.decode(found).owner
}

const macText = (bytes: Uint8Array): string => bytes.toHex().replaceAll(/..(?=.)/g, '$&:')

/** Whether packets between the two pods of this node go from port to port over the bridge, though programs are attached. */
export function isBridged(prediction: Prediction, src: PredictPod, dst: PredictPod): boolean {
  if (prediction.deps.programs() === undefined) return true
  return [src, dst].some(({ datapath, addrs }) => {
    const [first] = addrs
    const entry = first && podEntry(prediction, first.addr)
    return datapath === 'bridge' || (entry !== undefined && (entry.flags & podFlags.bridged) !== 0)
  })
}

/** Whether programs see what the pod sends. */
export function isGuarded({ deps }: Prediction, { hostDevice }: PredictPod): boolean {
  return deps.programs()?.isAttached(hostDevice) === true
}

const untoldMaps = ({ name }: Pick<Device, 'name'>) =>
  passes('program', `what the maps of Causeway's program at ${name} hold is not known here`, { device: name })

/** What the program at a pod's host device does with what the pod sends. */
export function fromPod(prediction: Prediction, pod: PredictPod, host: Device, podMac: string): boolean {
  const { deps, packet } = prediction
  const programs = deps.programs()
  if (programs === undefined) return true
  if (programs.lookUp === undefined) return prediction.add(untoldMaps(host))
  const port = value(prediction, 'cw_ports', indexStruct.encode({ index: host.index }))
  const entry = podEntry(prediction, packet.src)
  const to = nodeEntry(prediction, packet.dst)
  const facts: ProgramFacts = {
    device: host.name,
    pod: pod.pod,
    src: String(packet.src),
    protocol: packet.protocol,
    isAttached: isGuarded(prediction, pod),
    isPodKnown: entry?.device === host.index,
    ...(port && { portMac: macText(portStruct.decode(port).mac) }),
    podMac,
    ...(to && { laterWay: wayName(to.way) ?? `way ${to.way}` }),
  }
  return prediction.add(programStep(facts))
}

/** Whether the program at the tunnel's device takes what comes from that tunnel end. */
export function fromTunnel(prediction: Prediction, device: string, outerSrc: Addr): boolean {
  const { packet, deps } = prediction
  const programs = deps.programs()
  if (programs === undefined) return true
  if (programs.lookUp === undefined) return prediction.add(untoldMaps({ name: device }))
  const names = new Map([...deps.policy.nodes().keys()].map((name) => [ownerNumber(name), name]))
  const nameOf = (owner: bigint | undefined): string | undefined =>
    owner === undefined ? undefined : (names.get(owner) ?? 'a node that is not known')
  const node = nodeEntry(prediction, packet.src)
  const owner = nameOf(node?.owner)
  // two nodes may share an address, which has one owner in the map
  const isPlanned =
    node !== undefined &&
    node.way >= ways.tunnel4 &&
    bytesOfEnd(outerSrc).every((each, index) => each === node.tunnel_dst[index])
  const end = isPlanned ? owner : nameOf(ownerOfEnd(prediction, outerSrc))
  return prediction.add(
    tunnelOwnerStep({
      device,
      src: String(packet.src),
      outerSrc: String(outerSrc),
      ...(owner !== undefined && { owner }),
      ...(end !== undefined && { end }),
    }),
  )
}

/** Programs and filters of others that see the packet, of which nobody can tell what they do. */
export function othersAt(prediction: Prediction, device: Device, hook: BpfHook): void {
  const names = prediction.kernel.programsOfOthers(device, hook)
  if (names.length === 0) return
  const text = `${names.join(', ')} of others ${names.length === 1 ? 'sees' : 'see'} it at ${hook} of ${device.name}: what becomes of it there cannot be told`
  prediction.add(passes('program', text, { device: device.name }))
}
