// The operation that tells what the kernel of this node has.
import { type NodeFacts } from '#/api/schemas/facts.ts'
import { InOrder } from '#/lib/in-order.ts'
import { type Handlers } from '../http-api.ts'
import { type FactsSources, readFacts } from './node.ts'

/** One is read at a time; so many more may wait. */
const mostWaiting = 4
const rowsPerPiece = 500

export function factsHandlers<Pod extends { readonly pod: string }>(sources: FactsSources<Pod>): Handlers {
  const order = new InOrder()
  let asked = 0
  return {
    facts: async ({ firewalls }) => {
      if (asked > mostWaiting) return { status: 503, body: 'as many as can wait for facts of this node already do\n' }
      asked++
      try {
        const facts = await order.run(() => readFacts(sources, { withRules: firewalls === 'yes' }))
        return { status: 200, json: inPieces(facts) }
      } finally {
        asked--
      }
    },
  }
}

/** Text of some kilobytes at a time: routes and rules of a large node are megabytes. */
async function* inPieces({ namespaces, programMaps, ...rest }: NodeFacts): AsyncGenerator<string> {
  yield `${JSON.stringify(rest).slice(0, -1)},"namespaces":`
  yield* listInPieces(namespaces)
  if (programMaps) {
    const { maps, ...others } = programMaps
    yield `,"programMaps":${JSON.stringify(others).slice(0, -1)},"maps":`
    yield* listInPieces(maps)
    yield '}'
  }
  yield '}\n'
}

async function* listInPieces(values: readonly object[]): AsyncGenerator<string> {
  yield '['
  for (const [index, value] of values.entries()) {
    yield index === 0 ? '{' : ',{'
    yield* fieldsInPieces(value)
    yield '}'
  }
  yield ']'
}

async function* fieldsInPieces(value: object): AsyncGenerator<string> {
  let comma = ''
  for (const [key, field] of Object.entries(value) as [string, unknown][]) {
    if (field === undefined) continue
    yield `${comma}${JSON.stringify(key)}:`
    comma = ','
    if (!Array.isArray(field)) {
      yield JSON.stringify(field)
      continue
    }
    yield '['
    for (let at = 0; at < field.length; at += rowsPerPiece) {
      const rows = field.slice(at, at + rowsPerPiece).map((row) => JSON.stringify(row))
      yield `${at === 0 ? '' : ','}${rows.join(',')}`
    }
    yield ']'
  }
}
