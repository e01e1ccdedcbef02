// The stream of a watch: one JSON value per line, cut into chunks anywhere, also inside of a UTF-8 character.
// Bytes are put together per line and only whole lines are decoded, so no character is ever seen in halves.

const newline = 0x0a

export class JsonLineError extends Error {
  override name = 'JsonLineError'
}

/** Cuts chunks into lines and parses each; memory is bounded by `maxLineBytes` plus one chunk. */
export class JsonLineDecoder {
  readonly #maxLineBytes: number
  readonly #text = new TextDecoder('utf-8', { fatal: true })
  #parts: Uint8Array[] = []
  #partBytes = 0

  constructor(options: { maxLineBytes: number }) {
    this.#maxLineBytes = options.maxLineBytes
  }

  /** Gives the values whose lines end in this chunk, one by one; throws JsonLineError on a bad or too long line. */
  *push(chunk: Uint8Array): Generator {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end))
      start = end + 1
      const line = this.#takeLine()
      if (line !== '') yield parse(line)
    }
    this.#keep(chunk.subarray(start))
  }

  /** Bytes of a line that has not ended: above zero at the end of the stream, the stream was cut in mid-line. */
  get pendingBytes(): number {
    return this.#partBytes
  }

  #keep(part: Uint8Array): void {
    this.#partBytes += part.length
    if (this.#partBytes > this.#maxLineBytes) {
      throw new JsonLineError(`a line longer than ${this.#maxLineBytes} bytes`)
    }
    if (part.length > 0) this.#parts.push(part)
  }

  #takeLine(): string {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    this.#parts = []
    this.#partBytes = 0
    try {
      return this.#text.decode(bytes).trim()
    } catch {
      throw new JsonLineError('a line that is no UTF-8')
    }
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw new JsonLineError(`a line that is no JSON: ${JSON.stringify(line.slice(0, 80))}`)
  }
}
