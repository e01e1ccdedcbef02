// Streams of messages for tests, from hexadecimal text and decoded again.
import { BgpError, type BgpMessage, MessageReader, type Notification, type WireSettings } from '../index.ts'

export const plainSettings: WireSettings = {
  fourOctetAsn: true,
  families: [4, 6],
  extendedNextHop: true,
  isInternal: false,
}

/** Bytes from hexadecimal text; blanks are ignored. */
export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')
}

/** A message of that type with a valid header. */
export function framed(type: number, body: Uint8Array): Buffer {
  const length = 19 + body.length
  return Buffer.concat([Buffer.alloc(16, 0xff), Buffer.of(length >> 8, length, type), body])
}

export type Reading = { readonly messages: readonly BgpMessage[]; readonly failure?: Notification }

/** What a reader returns for chunks. Each chunk is overwritten once it has been read. */
export function readChunks(chunks: readonly Uint8Array[], settings: WireSettings): Reading {
  const reader = new MessageReader()
  const messages: BgpMessage[] = []
  try {
    for (const chunk of chunks) {
      const own = Uint8Array.from(chunk)
      reader.push(own)
      for (let message = reader.next(settings); message !== undefined; message = reader.next(settings)) {
        messages.push(message)
      }
      own.fill(0xaa)
    }
  } catch (error) {
    if (!(error instanceof BgpError)) throw error
    return { messages, failure: error.notification }
  }
  return { messages }
}

export function readAll(bytes: Uint8Array, settings = plainSettings): Reading {
  return readChunks([bytes], settings)
}
