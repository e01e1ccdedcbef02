// Packets that programs denied, of which they tell a few in a second: in the form in which the rules of the stack tell of theirs.
import { BpfMap } from '#/kernel/bpf/map.ts'
import { RingBuffer } from '#/kernel/bpf/ring-buffer.ts'
import { denialPrefix } from '#/plan/policy/names.ts'
import { eventStruct } from '#/wire/bpf/maps.ts'
import { type Generation } from './generation.ts'
import { ruleText } from './read-policy-maps.ts'

/** As nflog tells it: the prefix that a rule of ours would write, and the packet from its IP header on. */
export type DeniedPacket = { readonly prefix: string; readonly packet: Uint8Array }

const ethernetBytes = 14
/** In place of the name of a class, which programs have no room for. */
const classText = 'ebpf'

export class DeniedPackets implements Disposable {
  readonly #map: BpfMap
  readonly #ring: RingBuffer

  /** Throws BpfError. Packets of before are left out: nobody was there to tell them when they came. */
  constructor(generation: Generation, onPacket: (denied: DeniedPacket) => void) {
    // a descriptor of its own: the generation's may be closed first
    this.#map = BpfMap.byId(generation.map('cw_denials').info.id)
    const sinceNs = process.hrtime.bigint()
    try {
      this.#ring = new RingBuffer(this.#map, (bytes) => {
        const {
          time_ns,
          captured,
          is_ingress,
          rule,
          bytes: frame,
        } = eventStruct.decode(bytes.subarray(0, eventStruct.size))
        if (time_ns < sinceNs) return
        const direction = is_ingress === 0 ? 'egress' : 'ingress'
        const prefix = denialPrefix({ direction, class: classText, isAudited: false, rule: ruleText(rule) })
        onPacket({ prefix, packet: frame.subarray(ethernetBytes, captured) })
      })
    } catch (error) {
      this.#map[Symbol.dispose]()
      throw error
    }
  }

  [Symbol.dispose](): void {
    this.#ring[Symbol.dispose]()
    this.#map[Symbol.dispose]()
  }
}
