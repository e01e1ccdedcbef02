// NOTIFICATION: why a session ends (RFC 4271 sections 4.5 and 6), with the codes of later RFCs, and as text for people.
import { type Notification } from './values.ts'

/** Error codes of RFC 4271 section 4.5; 7 is from RFC 7313, 8 from RFC 9687. */
export const ErrorCode = {
  header: 1,
  open: 2,
  update: 3,
  holdTimerExpired: 4,
  fsm: 5,
  cease: 6,
  refresh: 7,
  sendHoldTimerExpired: 8,
} as const

export const HeaderSubcode = { notSynchronized: 1, badLength: 2, badType: 3 } as const

/** 0: a known optional parameter that is malformed (RFC 4271 section 6.2). */
export const OpenSubcode = {
  unspecific: 0,
  unsupportedVersion: 1,
  badPeerAs: 2,
  badBgpId: 3,
  unsupportedParameter: 4,
  unacceptableHoldTime: 6,
  unsupportedCapability: 7,
} as const

export const UpdateSubcode = {
  malformedAttributes: 1,
  unrecognizedWellKnown: 2,
  missingWellKnown: 3,
  attributeFlags: 4,
  attributeLength: 5,
  invalidOrigin: 6,
  invalidNextHop: 8,
  optionalAttribute: 9,
  invalidNetwork: 10,
  malformedAsPath: 11,
} as const

/** Subcodes of RFC 6608. */
export const FsmSubcode = { unexpectedInOpenSent: 1, unexpectedInOpenConfirm: 2, unexpectedInEstablished: 3 } as const

/** Subcodes of RFC 4486; 9 is from RFC 8538, 10 from RFC 9384. */
export const CeaseSubcode = {
  maxPrefixes: 1,
  shutdown: 2,
  deconfigured: 3,
  reset: 4,
  rejected: 5,
  otherChange: 6,
  collision: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
} as const

/** Subcodes of RFC 7313 section 5. */
export const RefreshSubcode = { badLength: 1 } as const

/** The neighbour broke the protocol: the session must end with `notification`. */
export class BgpError extends Error {
  override name = 'BgpError'
  readonly notification: Notification

  /** `what` describes the fault for the log; the message begins with the NOTIFICATION's name. */
  constructor(notification: Notification, what: string) {
    super(`${notificationText(notification)}: ${what}`)
    this.notification = notification
  }
}

const nothing = new Uint8Array(0)

export function notificationOf(code: number, subcode = 0, data: Uint8Array = nothing): Notification {
  return { code, subcode, data }
}

type Names = Readonly<Record<number, { readonly name: string; readonly subcodes: Readonly<Record<number, string>> }>>

const names: Names = {
  1: {
    name: 'Message Header Error',
    subcodes: { 1: 'Connection Not Synchronized', 2: 'Bad Message Length', 3: 'Bad Message Type' },
  },
  2: {
    name: 'OPEN Message Error',
    subcodes: {
      1: 'Unsupported Version Number',
      2: 'Bad Peer AS',
      3: 'Bad BGP Identifier',
      4: 'Unsupported Optional Parameter',
      5: 'Authentication Failure',
      6: 'Unacceptable Hold Time',
      7: 'Unsupported Capability',
      11: 'Role Mismatch',
    },
  },
  3: {
    name: 'UPDATE Message Error',
    subcodes: {
      1: 'Malformed Attribute List',
      2: 'Unrecognized Well-known Attribute',
      3: 'Missing Well-known Attribute',
      4: 'Attribute Flags Error',
      5: 'Attribute Length Error',
      6: 'Invalid ORIGIN Attribute',
      7: 'AS Routing Loop',
      8: 'Invalid NEXT_HOP Attribute',
      9: 'Optional Attribute Error',
      10: 'Invalid Network Field',
      11: 'Malformed AS_PATH',
    },
  },
  4: { name: 'Hold Timer Expired', subcodes: {} },
  5: {
    name: 'Finite State Machine Error',
    subcodes: {
      1: 'Receive Unexpected Message in OpenSent State',
      2: 'Receive Unexpected Message in OpenConfirm State',
      3: 'Receive Unexpected Message in Established State',
    },
  },
  6: {
    name: 'Cease',
    subcodes: {
      1: 'Maximum Number of Prefixes Reached',
      2: 'Administrative Shutdown',
      3: 'Peer De-configured',
      4: 'Administrative Reset',
      5: 'Connection Rejected',
      6: 'Other Configuration Change',
      7: 'Connection Collision Resolution',
      8: 'Out of Resources',
      9: 'Hard Reset',
      10: 'BFD Down',
    },
  },
  7: { name: 'ROUTE-REFRESH Message Error', subcodes: { 1: 'Invalid Message Length' } },
  8: { name: 'Send Hold Timer Expired', subcodes: {} },
}

function isHardReset({ code, subcode }: Notification): boolean {
  return code === ErrorCode.cease && subcode === CeaseSubcode.hardReset
}

/** The text of a notification: "Cease/Administrative Shutdown", then its data if that is known to be text or another NOTIFICATION. */
export function notificationText(notification: Notification): string {
  const text = nameOf(notification)
  const { data } = notification
  if (isHardReset(notification) && data.length >= 2) {
    const inner = notificationOf(data[0]!, data[1], data.subarray(2))
    // A Hard Reset inside another is not expanded, which bounds the work; no neighbour has a reason to send one.
    return `${text} (${isHardReset(inner) ? nameOf(inner) : notificationText(inner)})`
  }
  const communication = shutdownText(notification)
  if (communication !== undefined) return `${text}: "${communication}"`
  return text
}

function nameOf({ code, subcode }: Notification): string {
  const known = names[code]
  if (known === undefined) return `NOTIFICATION ${code}/${subcode}`
  const detail = known.subcodes[subcode]
  if (detail !== undefined) return `${known.name}/${detail}`
  return subcode === 0 ? known.name : `${known.name}/${subcode}`
}

/**
 * The text of a shutdown (RFC 9003 section 2): an octet with the length, then UTF-8. The neighbour wrote it, so characters that are not
 * plain text are made visible.
 */
function shutdownText({ code, subcode, data }: Notification): string | undefined {
  if (code !== ErrorCode.cease || (subcode !== CeaseSubcode.shutdown && subcode !== CeaseSubcode.reset))
    return undefined
  const length = data[0] ?? 0
  if (length === 0 || length >= data.length) return undefined
  const text = new TextDecoder().decode(data.subarray(1, 1 + length))
  return text.replace(/[\p{C}"\\\u2028\u2029]/gu, '\uFFFD')
}

/** Makes an Administrative Shutdown or Administrative Reset with the reason in words (RFC 9003), cut to the 255 octets that fit. */
export function shutdownNotification(subcode: 2 | 4, text: string): Notification {
  const room = new Uint8Array(255)
  // encodeInto writes whole characters only, so a long text is cut between two
  const { written } = new TextEncoder().encodeInto(text, room)
  const data = new Uint8Array(1 + written)
  data[0] = written
  data.set(room.subarray(0, written), 1)
  return notificationOf(ErrorCode.cease, subcode, data)
}

/** Makes a Hard Reset (RFC 8538 section 3), which ends a session without keeping its routes, for the reason in `inner`. */
export function hardReset(inner: Notification): Notification {
  const data = new Uint8Array(2 + inner.data.length)
  data[0] = inner.code
  data[1] = inner.subcode
  data.set(inner.data, 2)
  return notificationOf(ErrorCode.cease, CeaseSubcode.hardReset, data)
}
