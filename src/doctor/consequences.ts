// What follows from a cause, in a few lines. Pure.
import { groupByCause } from '#/lib/causes.ts'
import { type Finding, type Sign } from './types.ts'

const toldLines = 6
/** Where there are more lines than two, each is kept short. */
const mostCharacters = 240
const wholeLines = 2

function cut(text: string): string {
  return text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters - 2).trimEnd()} …`
}

/** What a problem quotes of others is told by themselves. */
const withoutQuotes = (message: string): string => message.replace(/: CW\d{4} .*$/s, '')

function lineOf({ code, object, message, nodes }: Sign): string {
  return `${nodes.length === 1 ? `${nodes[0]} tells ` : ''}${code} ${object}: ${withoutQuotes(message)}`
}

/** One line about all packets that were lost. */
function lossLine(message: string, losses: readonly Sign[]): string[] {
  const [first] = losses
  if (first?.loss === undefined) return []
  const { packet, text } = first.loss
  const what = message.includes(text) ? packet : `${packet}: ${text}`
  return losses.length === 1
    ? [`a packet is lost: ${what}`]
    : [`${losses.length} of the packets that were followed are lost, the first: ${what}`]
}

/** A line for each thing that follows; of those that are alike, one with their number. `message` is that of the cause. */
function linesOf(message: string, signs: readonly Sign[]): string[] {
  const others = signs.filter(({ loss }) => loss === undefined)
  const failures = others.map((sign) => ({
    subject: sign.object,
    text: lineOf(sign),
    names: [...sign.nodes, ...(sign.extent.pods ?? []), ...(sign.extent.peers ?? [])],
  }))
  const lines = groupByCause(failures).map(
    (same) => `${same[0]!.text}${same.length > 1 ? ` (and ${same.length - 1} more like it)` : ''}`,
  )
  const more = lines.length - toldLines
  const all = [
    ...(more > 1 ? [...lines.slice(0, toldLines), `and ${more} more`] : lines),
    ...lossLine(
      message,
      signs.filter(({ loss }) => loss !== undefined),
    ),
  ]
  return all.length > wholeLines ? all.map(cut) : all
}

/** What follows from a cause: `below`. `roots` are what the cause is made of, with `message` as its own. */
export function consequencesOf(
  message: string,
  below: readonly Sign[],
  roots: readonly Sign[] = [],
): Pick<Finding, 'consequences' | 'explains' | 'lost'> {
  const others = below.filter(({ loss }) => loss === undefined)
  const told = new Map(others.map(({ code, object }) => [`${code} ${object}`, { code, object }]))
  return {
    consequences: linesOf(message, below),
    explains: [...told.values()],
    lost: [...roots, ...below].flatMap(({ loss }) => loss?.packet ?? []),
  }
}
