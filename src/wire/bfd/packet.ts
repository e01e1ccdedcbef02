// BFD control packets (RFC 5880 section 4.1). Packets that fail a check of section 6.8.6 that needs no session are rejected.
import { viewOf } from '#/lib/bytes.ts'

/** The states in the order of their codes. */
const states = ['AdminDown', 'Down', 'Init', 'Up'] as const
export type BfdState = (typeof states)[number]

export type BfdPacket = {
  readonly state: BfdState
  /** Why the sender's state last changed (RFC 5880 section 4.1); see `diagnosticText`. */
  readonly diagnostic: number
  readonly isPoll: boolean
  readonly isFinal: boolean
  readonly isControlPlaneIndependent: boolean
  readonly isDemand: boolean
  readonly detectMultiplier: number
  readonly myDiscriminator: number
  /** 0: the sender has received no packet yet. */
  readonly yourDiscriminator: number
  readonly desiredMinTxUs: number
  /** 0: the sender wants no periodic packets. */
  readonly requiredMinRxUs: number
  readonly requiredMinEchoRxUs: number
}

const version = 1
const packetBytes = 24

const bits = {
  poll: 0x20,
  final: 0x10,
  controlPlaneIndependent: 0x08,
  authentication: 0x04,
  demand: 0x02,
  multipoint: 0x01,
}

export const Diagnostic = {
  none: 0,
  detectionTimeExpired: 1,
  neighbourSignalledDown: 3,
  administrativelyDown: 7,
} as const

const diagnosticTexts: readonly string[] = [
  'no diagnostic',
  'control detection time expired',
  'echo function failed',
  'neighbor signaled session down',
  'forwarding plane reset',
  'path down',
  'concatenated path down',
  'administratively down',
  'reverse concatenated path down',
]

/** A diagnostic in the words of RFC 5880 section 4.1. */
export function diagnosticText(diagnostic: number): string {
  return diagnosticTexts[diagnostic] ?? `diagnostic ${diagnostic}`
}

/** Encodes a packet without authentication. */
export function encodeBfdPacket(packet: BfdPacket): Uint8Array {
  const bytes = new Uint8Array(packetBytes)
  const view = viewOf(bytes)
  view.setUint8(0, (version << 5) | packet.diagnostic)
  view.setUint8(
    1,
    (states.indexOf(packet.state) << 6) |
      (packet.isPoll ? bits.poll : 0) |
      (packet.isFinal ? bits.final : 0) |
      (packet.isControlPlaneIndependent ? bits.controlPlaneIndependent : 0) |
      (packet.isDemand ? bits.demand : 0),
  )
  view.setUint8(2, packet.detectMultiplier)
  view.setUint8(3, packetBytes)
  view.setUint32(4, packet.myDiscriminator)
  view.setUint32(8, packet.yourDiscriminator)
  view.setUint32(12, packet.desiredMinTxUs)
  view.setUint32(16, packet.requiredMinRxUs)
  view.setUint32(20, packet.requiredMinEchoRxUs)
  return bytes
}

/**
 * Decodes the packet in a UDP payload, or says why it must be discarded (RFC 5880 section 6.8.6). Authenticated packets are discarded,
 * because no session uses authentication.
 */
export function decodeBfdPacket(bytes: Uint8Array): BfdPacket | string {
  if (bytes.length < packetBytes) return `${bytes.length} octets are too few`
  const view = viewOf(bytes)
  const flags = view.getUint8(1)
  const length = view.getUint8(3)
  const packet: BfdPacket = {
    state: states[flags >>> 6]!,
    diagnostic: view.getUint8(0) & 0x1f,
    isPoll: (flags & bits.poll) !== 0,
    isFinal: (flags & bits.final) !== 0,
    isControlPlaneIndependent: (flags & bits.controlPlaneIndependent) !== 0,
    isDemand: (flags & bits.demand) !== 0,
    detectMultiplier: view.getUint8(2),
    myDiscriminator: view.getUint32(4),
    yourDiscriminator: view.getUint32(8),
    desiredMinTxUs: view.getUint32(12),
    requiredMinRxUs: view.getUint32(16),
    requiredMinEchoRxUs: view.getUint32(20),
  }
  if (view.getUint8(0) >>> 5 !== version) return `version ${view.getUint8(0) >>> 5}`
  if (length < packetBytes || length > bytes.length) return `length ${length} in ${bytes.length} octets`
  if ((flags & bits.authentication) !== 0) return 'authentication, which is not configured'
  if (packet.detectMultiplier === 0) return 'detect multiplier 0'
  if ((flags & bits.multipoint) !== 0) return 'the multipoint bit'
  if (packet.myDiscriminator === 0) return 'my discriminator 0'
  if (packet.yourDiscriminator === 0 && packet.state !== 'Down' && packet.state !== 'AdminDown')
    return `your discriminator 0 in state ${packet.state}`
  return packet
}
