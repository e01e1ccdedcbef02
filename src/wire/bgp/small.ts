// The short messages: KEEPALIVE, NOTIFICATION (RFC 4271 sections 4.4, 4.5) and ROUTE-REFRESH (RFC 2918, RFC 7313).
import { familyAt, writeFamily } from './family.ts'
import { badLength, headerBytes, maxMessageBytes, messageOf, MessageType } from './header.ts'
import { BgpError, ErrorCode, notificationOf, RefreshSubcode } from './notification.ts'
import { type Notification, type RouteRefresh } from './values.ts'

export function encodeKeepalive(): Uint8Array {
  return messageOf(MessageType.keepalive, 0)
}

/** Encodes a NOTIFICATION; data that does not fit is cut off. */
export function encodeNotification({ code, subcode, data }: Notification): Uint8Array {
  const fitting = data.subarray(0, maxMessageBytes - headerBytes - 2)
  const message = messageOf(MessageType.notification, 2 + fitting.length)
  message[headerBytes] = code
  message[headerBytes + 1] = subcode
  message.set(fitting, headerBytes + 2)
  return message
}

export function decodeNotification(body: Uint8Array): Notification {
  return { code: body[0]!, subcode: body[1]!, data: Uint8Array.from(body.subarray(2)) }
}

const refreshKinds = ['request', 'begin', 'end'] as const
const refreshBytes = headerBytes + 4

export function encodeRefresh({ family, kind }: RouteRefresh): Uint8Array {
  const message = messageOf(MessageType.refresh, 4)
  writeFamily(message, headerBytes, family, headerBytes + 3)
  message[headerBytes + 2] = refreshKinds.indexOf(kind)
  return message
}

/** Decodes a ROUTE-REFRESH; undefined for an unknown family or kind, which must be ignored (RFC 7313 section 5). */
export function decodeRefresh(message: Buffer): RouteRefresh | undefined {
  const kind = refreshKinds[message[headerBytes + 2]!]
  if (message.length !== refreshBytes) {
    const what = `ROUTE-REFRESH of ${message.length} octets`
    if (kind === undefined || kind === 'request') throw badLength(message, 0, what)
    const data = Uint8Array.from(message)
    throw new BgpError(notificationOf(ErrorCode.refresh, RefreshSubcode.badLength, data), what)
  }
  const family = familyAt(message, headerBytes, headerBytes + 3)
  return family === undefined || kind === undefined ? undefined : { family, kind }
}
