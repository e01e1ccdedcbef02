// Reads a support bundle, which may come from anywhere: it is bounded, and each answer must match the table of operations.
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { type AnswerOf, type OperationName, operationNames } from '#/api/operations.ts'
import { readAnswer } from '#/api/message.ts'
import { readWith } from '#/api/read.ts'
import { errorCode } from '#/lib/error-code.ts'
import { messageOf } from '#/lib/log.ts'
import { UsageError } from '../args.ts'
import { type BundleEntry, type BundleHead, bundleVersion, entryLine, headLine } from './format.ts'

/** Of a cluster of some thousand nodes; what claims to be more is none, or has to be taken apart by `zcat` and `grep`. */
const mostBytes = 2 ** 30
/** An answer of one agent: several times what one with all that facts may have takes. */
const mostLineBytes = 64 << 20
/** A line that is shorter is read whatever it holds; of a longer one, the bytes that a value of it has at least. */
const alwaysReadBytes = 4 << 20
const leastBytesPerValue = 6

export type Told = {
  /** The text of an answer, which `readAnswer` reads. */
  readonly text: string
  readonly askedMs: number
  readonly answeredMs: number
}

export type Bundle = {
  readonly head: BundleHead
  /** By node and operation. */
  readonly answers: ReadonlyMap<string, ReadonlyMap<OperationName, Told>>
  readonly errors: ReadonlyMap<string, ReadonlyMap<OperationName, string>>
}

class Lines {
  #rest: Buffer[] = []
  #restBytes = 0
  #bytes = 0
  readonly #take: (line: string) => void

  constructor(take: (line: string) => void) {
    this.#take = take
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > mostBytes) throw new UsageError(`it holds more than ${mostBytes >> 20} MiB`)
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end))
      const line = Buffer.concat(this.#rest)
      if (isDense(line)) throw new UsageError('a line of it holds more values than any answer of an agent')
      this.#take(line.toString())
      this.#rest = []
      this.#restBytes = 0
      start = end + 1
    }
    this.#keep(chunk.subarray(start))
  }

  #keep(piece: Buffer): void {
    this.#restBytes += piece.length
    if (this.#restBytes > mostLineBytes) throw new UsageError(`a line of it has more than ${mostLineBytes >> 20} MiB`)
    if (piece.length > 0) this.#rest.push(piece)
  }

  get hasRest(): boolean {
    return this.#restBytes > 0
  }
}

const starts = new Set(Buffer.from('{[,'))

/** Objects take a hundred times the memory of their text where they are empty: a small file could ask for all that there is, for minutes. */
function isDense(line: Buffer): boolean {
  if (line.length <= alwaysReadBytes) return false
  let values = 0
  for (const byte of line) if (starts.has(byte)) values++
  return values * leastBytesPerValue > line.length
}

function jsonOf(line: string, number: number): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    throw new UsageError(`line ${number} is no JSON: ${messageOf(error)}`)
  }
}

class Reading {
  #head: BundleHead | undefined
  #lines = 0
  readonly answers = new Map<string, Map<OperationName, Told>>()
  readonly errors = new Map<string, Map<OperationName, string>>()

  take(line: string): void {
    const number = ++this.#lines
    const value = jsonOf(line, number)
    if (this.#head === undefined) {
      const read = readWith(headLine, value)
      if ('mismatch' in read) throw new UsageError(`it is no support bundle: ${read.mismatch}`)
      const head = read.value as BundleHead
      if (head.version > bundleVersion)
        throw new UsageError(
          `it has version ${head.version}, and this program reads up to ${bundleVersion}: use Causeway ${head.causeway}`,
        )
      this.#head = head
      return
    }
    const read = readWith(entryLine, value)
    if ('mismatch' in read) throw new UsageError(`line ${number}: ${read.mismatch}`)
    this.#keep(read.value as BundleEntry, number)
  }

  #keep(entry: BundleEntry, number: number): void {
    const { node, askedMs, answeredMs, error, answer } = entry
    const operation = operationNames.find((each) => each === entry.operation)
    if (operation === undefined) return
    if (error !== undefined) {
      this.errors.getOrInsertComputed(node, () => new Map()).set(operation, error)
      return
    }
    const text = JSON.stringify(answer ?? null)
    const read = readAnswer(operation, text)
    if ('mismatch' in read) throw new UsageError(`line ${number}, ${operation} of node ${node}: ${read.mismatch}`)
    this.answers.getOrInsertComputed(node, () => new Map()).set(operation, { text, askedMs, answeredMs })
  }

  get result(): Bundle {
    if (this.#head === undefined) throw new UsageError('it is empty')
    return { head: this.#head, answers: this.answers, errors: this.errors }
  }
}

/** In words for who gave the file; the kernel's and zlib's own are in brackets. */
function wordsOf(error: unknown): string {
  switch (errorCode(error)) {
    case 'Z_DATA_ERROR':
      return `it is no gzip file, or damaged (${messageOf(error)})`
    case 'Z_BUF_ERROR':
      return `it is cut off (${messageOf(error)}): copy it again`
    default:
      return messageOf(error)
  }
}

/** Rejects with UsageError that says what is wrong with the file. */
export async function readBundle(path: string): Promise<Bundle> {
  const reading = new Reading()
  const lines = new Lines((line) => reading.take(line))
  try {
    await pipeline(createReadStream(path), createGunzip(), async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) lines.add(chunk)
    })
    if (lines.hasRest) throw new UsageError('it is cut off in the middle of a line: copy it again')
    return reading.result
  } catch (error) {
    throw new UsageError(`--bundle ${path}: ${wordsOf(error)}`)
  }
}

/** An answer of the bundle, which was found to be one when it was read. */
export function answerIn<Name extends OperationName>(
  { answers }: Bundle,
  node: string,
  name: Name,
): AnswerOf<Name> | undefined {
  const told = answers.get(node)?.get(name)
  if (told === undefined) return undefined
  const read = readAnswer(name, told.text)
  return 'value' in read ? read.value : undefined
}
