// OPEN (RFC 4271 section 4.2): the speaker's identity and what it offers. It is read strictly by section 6.2.
import { Addr } from '#/lib/addr.ts'
import { twoOctets } from './as-path.ts'
import { CapabilityReader, encodeCapabilities } from './capabilities.ts'
import { headerBytes, MessageType, messageOf } from './header.ts'
import { BgpError, ErrorCode, notificationOf, OpenSubcode } from './notification.ts'
import { type Open } from './values.ts'

const version = 4
const fixedBytes = 10
const capabilitiesParameter = 2
/** As the type of the first parameter, this says that lengths have two octets (RFC 9072 section 2). */
const extendedParameters = 255

export function encodeOpen(open: Open): Uint8Array {
  const capabilities = encodeCapabilities(open.capabilities)
  const message = messageOf(MessageType.open, fixedBytes + 2 + capabilities.length)
  const body = message.subarray(headerBytes)
  body[0] = version
  body.writeUInt16BE(twoOctets(open.asn), 1)
  body.writeUInt16BE(open.holdTimeSeconds, 3)
  body.set(open.routerId.toBytes(), 5)
  body[9] = 2 + capabilities.length
  body[10] = capabilitiesParameter
  body[11] = capabilities.length
  body.set(capabilities, 12)
  return message
}

function refused(subcode: number, what: string, data?: Uint8Array): BgpError {
  return new BgpError(notificationOf(ErrorCode.open, subcode, data), what)
}

export function decodeOpen(body: Buffer): Open {
  if (body[0] !== version) {
    throw refused(OpenSubcode.unsupportedVersion, `version ${body[0]}`, Uint8Array.of(0, version))
  }
  const shortAsn = body.readUInt16BE(1)
  const holdTimeSeconds = body.readUInt16BE(3)
  const routerId = Addr.fromBytes(body.subarray(5, 9))
  const reader = new CapabilityReader()
  readParameters(body, reader)
  const { capabilities } = reader
  const asn = capabilities.asn ?? shortAsn
  // RFC 7607 section 2, for either field
  if (asn === 0 || shortAsn === 0) throw refused(OpenSubcode.badPeerAs, 'AS 0')
  if (routerId.isUnspecified) throw refused(OpenSubcode.badBgpId, 'BGP identifier 0.0.0.0')
  if (holdTimeSeconds === 1 || holdTimeSeconds === 2) {
    throw refused(OpenSubcode.unacceptableHoldTime, `hold time of ${holdTimeSeconds} s`)
  }
  return { asn, holdTimeSeconds, routerId, capabilities }
}

function readParameters(body: Buffer, reader: CapabilityReader): void {
  const isExtended = body[9] !== 0 && body[10] === extendedParameters
  const malformed = (what: string): BgpError => refused(OpenSubcode.unspecific, what)
  if (isExtended && body.length < 13) throw malformed('extended optional parameters cut off')
  const start = isExtended ? 13 : fixedBytes
  const length = isExtended ? body.readUInt16BE(11) : body[9]!
  if (start + length !== body.length) {
    throw malformed(`${length} octets of optional parameters where the message has ${body.length - start}`)
  }
  const headerLength = isExtended ? 3 : 2
  for (let at = start; at < body.length;) {
    const valueAt = at + headerLength
    if (valueAt > body.length) throw malformed('an optional parameter cut off')
    const type = body[at]!
    const end = valueAt + (isExtended ? body.readUInt16BE(at + 1) : body[at + 1]!)
    if (end > body.length) throw malformed(`optional parameter ${type} beyond the message`)
    if (type !== capabilitiesParameter) throw refused(OpenSubcode.unsupportedParameter, `optional parameter ${type}`)
    const problem = reader.read(body.subarray(valueAt, end))
    if (problem !== undefined) throw malformed(problem)
    at = end
  }
}
