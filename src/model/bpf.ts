// What the eBPF datapath's maps and hooks are to hold, as values: pods, nodes and attachments by their names. The kernel's numbers for
// devices come in where maps are written (src/datapath/ebpf).
import { createHash } from 'node:crypto'
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type ProgramName } from '#/wire/bpf/maps.ts'

/** A pod of this node, as programs have to know it. */
export type BpfPod = {
  /** The host end of its veth. */
  readonly device: string
  readonly pod: string
  readonly addrs: readonly Addr[]
  /** The MAC of its end. */
  readonly mac: string
  /** Its datapath is the bridge: no program has its packets, which go from bridge port to bridge port. */
  readonly isBridged: boolean
  /** A queue of its host device limits what it receives. */
  readonly isLimited: boolean
}

export type BpfWay =
  /** By the node's own stack. */
  | { readonly way: 'none' }
  /** The addresses are of this node's pods. */
  | { readonly way: 'local' }
  | {
      readonly way: 'native'
      /** Those of its next hops. */
      readonly devices: readonly string[]
      /** The largest packet; absent: not known. */
      readonly mtuBytes?: number
    }
  /** By the family of the tunnel's ends. */
  | {
      readonly way: 'tunnel4' | 'tunnel6'
      readonly src: Addr
      readonly dst: Addr
      /** The largest packet of a pod. */
      readonly mtuBytes: number
      /** Where the inner frame goes to. */
      readonly vtepMac: string
    }

/** How packets go to the addresses of a prefix, and the node from which alone packets with such a source may come. */
export type BpfNode = BpfWay & { readonly prefix: Prefix; readonly owner: string }

/** An address by which a node sends what goes through the tunnel. */
export type BpfEnd = { readonly addr: Addr; readonly owner: string }

export type BpfHook = 'ingress' | 'egress'

export type BpfAttachment = {
  readonly device: string
  readonly hook: BpfHook
  readonly program: ProgramName
  /** Programs read Ethernet headers: a device without them has none attached, and its packets go to the stack. */
  readonly isEthernetOnly?: true
}

export type DesiredBpf = {
  /** The device by which pods' packets enter the node's own stack. */
  readonly podDevice: string
  readonly tunnel: { readonly device: string; readonly vni: number; readonly port: number }
  /** The MTU of pods' devices. */
  readonly deviceMtuBytes: number
  readonly pods: readonly BpfPod[]
  readonly nodes: readonly BpfNode[]
  readonly ends: readonly BpfEnd[]
  readonly attachments: readonly BpfAttachment[]
}

/** What a change of other nodes changes in the maps of nodes, by prefix or address as text; undefined marks what goes. */
export type BpfDelta = {
  readonly nodes: ReadonlyMap<string, BpfNode | undefined>
  readonly ends: ReadonlyMap<string, BpfEnd | undefined>
}

export const attachmentKey = ({ device, hook }: Pick<BpfAttachment, 'device' | 'hook'>): string => `${device} ${hook}`

let lastOwner: { readonly node: string; readonly number: bigint } | undefined

/** The number by which programs know a node: the first 64 bits of SHA-256 over its name, as a little-endian number. */
export function ownerNumber(node: string): bigint {
  // several entries of one node mostly follow each other
  if (lastOwner?.node !== node)
    lastOwner = { node, number: createHash('sha256').update(node).digest().readBigUInt64LE() }
  return lastOwner.number
}
