// Reads messages out of a byte stream in chunks of any size (RFC 4271 section 4.1). A message inside one chunk is read in place; one that
// crosses chunks is assembled in a buffer of the greatest message's size.
import { AttributeCache } from './attribute-cache.ts'
import { checkHeader, headerBytes, maxMessageBytes, MessageType } from './header.ts'
import { BgpError } from './notification.ts'
import { decodeOpen } from './open.ts'
import { decodeNotification, decodeRefresh } from './small.ts'
import { decodeUpdate } from './update.ts'
import { type BgpMessage, type WireSettings } from './values.ts'

export class MessageReader {
  /** The chunks that were pushed; reading continues in chunk `#chunk` at `#offset`. */
  #chunks: Buffer[] = []
  #chunk = 0
  #offset = 0
  readonly #partial = Buffer.alloc(maxMessageBytes)
  #partialLength = 0
  #failure: BgpError | undefined
  readonly #cache = new AttributeCache()

  /** Adds a chunk. `bytes` must not change until `next` has returned undefined; after that nothing refers to them. */
  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#chunks.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  }

  /**
   * The next message, or undefined when more bytes are needed. Throws BgpError, and then the same error each time, because the start of the
   * next message is not known. UPDATEs are read fastest when `settings` is the same object each time.
   */
  next(settings: WireSettings): BgpMessage | undefined {
    if (this.#failure !== undefined) throw this.#failure
    try {
      const message = this.#take()
      return message === undefined ? undefined : decode(message, settings, this.#cache)
    } catch (error) {
      if (error instanceof BgpError) this.#failure = error
      throw error
    }
  }

  #take(): Buffer | undefined {
    for (;;) {
      const chunk = this.#chunks[this.#chunk]
      if (chunk === undefined) {
        this.#chunks = []
        this.#chunk = 0
        return undefined
      }
      const message = this.#partialLength === 0 ? this.#whole(chunk) : this.#joined(chunk)
      if (this.#offset === chunk.length) {
        this.#chunk++
        this.#offset = 0
      }
      if (message !== undefined) return message
    }
  }

  /** The message at the offset; when it continues in a later chunk, its bytes so far are set aside. */
  #whole(chunk: Buffer): Buffer | undefined {
    const available = chunk.length - this.#offset
    if (available >= headerBytes) {
      const length = checkHeader(chunk, this.#offset)
      if (available >= length) {
        const message = chunk.subarray(this.#offset, this.#offset + length)
        this.#offset += length
        return message
      }
    }
    this.#fill(chunk, available)
    return undefined
  }

  #joined(chunk: Buffer): Buffer | undefined {
    if (this.#partialLength < headerBytes) {
      this.#fill(chunk, headerBytes - this.#partialLength)
      if (this.#partialLength < headerBytes) return undefined
    }
    const length = checkHeader(this.#partial, 0)
    this.#fill(chunk, length - this.#partialLength)
    if (this.#partialLength < length) return undefined
    this.#partialLength = 0
    return this.#partial.subarray(0, length)
  }

  #fill(chunk: Buffer, most: number): void {
    const copied = chunk.copy(this.#partial, this.#partialLength, this.#offset, this.#offset + most)
    this.#partialLength += copied
    this.#offset += copied
  }
}

function decode(message: Buffer, settings: WireSettings, cache: AttributeCache): BgpMessage {
  const body = message.subarray(headerBytes)
  switch (message[headerBytes - 1]) {
    case MessageType.open: {
      return { kind: 'open', open: decodeOpen(body) }
    }
    case MessageType.update: {
      return { kind: 'update', update: decodeUpdate(body, settings, cache) }
    }
    case MessageType.notification: {
      return { kind: 'notification', notification: decodeNotification(body) }
    }
    case MessageType.refresh: {
      const refresh = decodeRefresh(message)
      return { kind: 'refresh', ...(refresh === undefined ? {} : { refresh }) }
    }
    default: {
      return { kind: 'keepalive' }
    }
  }
}
