// Follows the packet through the chains of nftables and of legacy iptables that it meets in a namespace.
import { Prefix } from '#/lib/addr.ts'
import { policyTableName, vxlanName } from '#/model/names.ts'
import { type NeededPassage } from '#/model/network.ts'
import { follow, type Translated, translations } from '#/obstacles/firewall/one-packet.ts'
import { type DeviceFact, type PacketClass } from '#/obstacles/firewall/packet.ts'
import { type HookName, type Passage, type Purpose } from '#/obstacles/firewall/passages.ts'
import { type At, passes, type PredictedStep, stops } from '#/trace/predict-steps.ts'
import { type Packet, type Prediction } from './context.ts'
import { type Device, type KernelView } from './kernel-view.ts'

/** One hook on the packet's way. */
export type Crossing = {
  readonly packet: Packet
  readonly hook: HookName
  readonly layer: Passage['layer']
  readonly purpose: Purpose
  readonly iif?: Device
  readonly oif?: Device
  readonly bridge?: string
  readonly isLocal?: boolean
  /** The tunnel's own packets, which connection tracking leaves alone. */
  readonly isUntracked?: true
}

const fact = (device: Device | undefined): DeviceFact =>
  device === undefined ? { kind: 'none' } : { kind: 'named', name: device.name, index: device.index }

const echoTypes = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const

export function classOf({ packet, layer, iif, oif, bridge, isLocal = false, isUntracked }: Crossing): PacketClass {
  const { src, dst, protocol, port, sourcePort, isAnswer, isTranslated } = packet
  const { family } = src
  const ofFrame = layer === 'device' ? ({ isFrame: true } as const) : {}
  return {
    family,
    iif: fact(iif),
    oif: fact(oif),
    ...(bridge !== undefined && { bridge }),
    ...ofFrame,
    src: [new Prefix(src, src.bits)],
    dst: [new Prefix(dst, dst.bits)],
    protocol,
    ...(port !== undefined && { dport: port }),
    ...(sourcePort !== undefined && { sport: sourcePort }),
    ...(protocol === 'icmp' && { icmpType: echoTypes[family][isAnswer ? 'reply' : 'request'] }),
    ctState: isUntracked || layer === 'device' ? 'untracked' : isAnswer ? 'established' : 'new',
    ...(isTranslated && { isTranslated }),
    isLocal,
  }
}

/** Whether the kernel has the rules for IP look at frames that cross a bridge, as packets of the bridge. */
export function isBridgeFiltered(kernel: KernelView, family: 4 | 6): boolean {
  return kernel.sysctl(`net/bridge/bridge-nf-call-${family === 4 ? 'iptables' : 'ip6tables'}`) === '1'
}

const passageOf = (crossing: Crossing): Passage => ({
  purpose: crossing.purpose,
  what: crossing.purpose === 'tunnel' ? "the tunnel's packet" : 'this packet',
  packet: classOf(crossing),
  hooks: [crossing.hook],
  layer: crossing.layer,
})

/** The firewalls of one namespace, and what was looked at in them. */
export class Firewalls {
  readonly #prediction: Prediction
  readonly #kernel: KernelView
  readonly #needed: NeededPassage
  readonly #pod: string | undefined
  #looked = 0
  readonly #unsure = new Set<string>()

  /** Without a pod: those of the node. */
  constructor(prediction: Prediction, pod?: { readonly name: string; readonly kernel: KernelView }) {
    this.#prediction = prediction
    this.#needed = neededOf(prediction)
    this.#pod = pod?.name
    this.#kernel = pod?.kernel ?? prediction.kernel
  }

  /** The step at a hook; undefined when nothing there drops the packet. */
  async cross(crossing: Crossing): Promise<PredictedStep | undefined> {
    if (this.#prediction.isLate) {
      this.#unsure.add(`those at ${crossing.hook}, for which there was no time,`)
      return undefined
    }
    const { blockade, refusal, chains, unsure } = await follow(
      await this.#kernel.chains(),
      passageOf(crossing),
      this.#needed,
    )
    const isDropped = blockade !== undefined || refusal !== undefined
    this.#looked += isDropped ? chains - 1 : chains
    for (const each of unsure) this.#unsure.add(each)
    const isLeaving = ['output', 'postrouting', 'egress'].includes(crossing.hook)
    const device = isLeaving ? crossing.oif : crossing.iif
    const at: At = {
      ...(device && { device: device.name }),
      ...(this.#pod !== undefined && { pod: this.#pod }),
    }
    if (refusal !== undefined) return stops('nftables', refusal, at, { remedy: refusedRemedy(crossing) })
    if (blockade === undefined) return undefined
    const { message, code, remedy } = blockade.problem
    if (this.#pod !== undefined)
      return stops('nftables', `in the namespace of pod ${this.#pod}: ${message}`, at, {
        remedy: `look at it there (nft list ruleset, iptables -S), and ask whoever wrote these rules in the pod, such as a service mesh`,
      })
    return stops('nftables', message, at, { code, ...(remedy !== undefined && { remedy }) })
  }

  /** Whether the table of the family bridge is there that leads packets between pods of the node through its stack. */
  get routesPods(): boolean {
    return this.#kernel.tables().some(({ family, name }) => family === 'bridge' && name === policyTableName)
  }

  /** The translations that the packet may get at a hook. */
  async translated(crossing: Crossing): Promise<Translated | undefined> {
    return translations(await this.#kernel.chains(), { ...passageOf(crossing), layer: 'nat' }, async () =>
      this.#kernel.pause(),
    )
  }

  /** What was looked at since the last one; undefined where there was nothing. */
  summary(at: At = {}, what = 'it'): PredictedStep | undefined {
    const looked = this.#looked
    const unsure = [...this.#unsure]
    this.#looked = 0
    this.#unsure.clear()
    if (looked === 0 && unsure.length === 0) return undefined
    const count = Math.max(0, looked - unsure.length)
    const first = `${count} ${count === 1 ? 'chain lets' : 'chains let'} ${what} pass`
    const rest = unsure.length === 0 ? '' : `; of ${unsure.join(', ')} it cannot be told`
    return passes('nftables', first + rest, { ...at, ...(this.#pod !== undefined && { pod: this.#pod }) })
  }
}

function refusedRemedy({ purpose, packet }: Crossing): string {
  return purpose === 'tunnel'
    ? `see whether ${packet.src} and ${packet.dst} are addresses of nodes of this cluster: kubectl get nodes -o wide, and causeway status`
    : 'this is on purpose: see docs/nftables.md for what the table of Causeway refuses'
}

/** What remedies name. */
function neededOf({ deps, packet }: Prediction): NeededPassage {
  return {
    podDevices: [deps.podDevice()],
    podCIDRs: deps.podCIDRs(),
    clusterCIDRs: deps.clusterCIDRs,
    isNative: false,
    underlayDevices: [],
    tunnel: { device: deps.flannel?.device(packet.src.family) ?? vxlanName, port: deps.vxlanPort, ends: [] },
  }
}
