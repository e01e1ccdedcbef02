// Makes docs/agent-api.md from the table of operations.
import { type GenericSchema } from 'valibot'
import { type Operation, operationNames, operationOf } from './operations.ts'

type Action = { readonly type: string; readonly description?: string }

/** The parts of a schema that the page shows. */
type Parts = {
  readonly type: string
  readonly entries?: Readonly<Record<string, GenericSchema>>
  readonly item?: GenericSchema
  readonly wrapped?: GenericSchema
  /** Of a record. */
  readonly value?: GenericSchema
  readonly options?: readonly unknown[]
  readonly pipe?: readonly Action[]
}

const intro = `# The agent's API

<!-- Made from src/api/operations.ts by scripts/agent-api-page.ts. -->

HTTP on the unix socket \`$CAUSEWAY_RUN_DIR/agent.sock\`, for root alone: it is what the command line asks, on the node or
[through the API server](cluster-access.md), and \`curl\` can
(\`curl --unix-socket /run/causeway/agent.sock http://agent/v1/status\`). With \`CAUSEWAY_HTTP_PORT\` the operations that say so are served on
that TCP port of the node too. A speaker alone ([bgp-speak](bgp-speak.md)) has a socket of the same name.

- Answers with status 200 are JSON as below, or plain text. All others are plain text that says why: 400 for a request that does not
  match, with the field's name; 404 for a path that is not served, with those that are; 405 for the wrong method.
- The header \`server\` tells the agent's version. Another version may add fields to an answer, and clients pass over those that
  they do not know; \`/v1\` becomes \`/v2\` when clients could no longer understand an answer.
- The parameters of a GET stand behind "?", those of a POST are a JSON object in its body. What is not declared is refused.
- The client checks every answer, row by row, before anything is shown. The agent checks its own only in tests, and long answers
  never, which it writes and sends piece by piece: 100,000 routes are to hold up nothing else.
- A stream is lines of JSON until it ends, or the client goes. Empty lines mean nothing: they come while there is nothing to tell.
`

function partsOf(schema: GenericSchema): Parts {
  return schema
}

/** The description of a schema, or of the schema that it wraps. */
function descriptionOf(schema: GenericSchema): string | undefined {
  const { pipe = [], wrapped } = partsOf(schema)
  if (wrapped) return descriptionOf(wrapped)
  return pipe.find(({ type }) => type === 'description')?.description
}

function shapeOf(schema: GenericSchema, indent: string): string {
  const { type, entries = {}, item, wrapped, value, options = [] } = partsOf(schema)
  if (wrapped) return shapeOf(wrapped, indent)
  if (value) return `{ [key: string]: ${shapeOf(value, indent)} }`
  if (type === 'picklist') return options.map((each) => JSON.stringify(each)).join(' | ')
  if (item) {
    const inner = shapeOf(item, indent)
    return inner.includes(' | ') && !inner.startsWith('{') ? `(${inner})[]` : `${inner}[]`
  }
  if (type !== 'object') return type
  const lines = Object.entries(entries).map(([name, field]) => fieldOf(name, field, `${indent}  `))
  return `{\n${lines.join('\n')}\n${indent}}`
}

function fieldOf(name: string, field: GenericSchema, indent: string): string {
  const about = descriptionOf(field)
  const comment = about === undefined ? '' : `${indent}// ${about}\n`
  const mark = partsOf(field).type === 'exact_optional' ? '?' : ''
  return `${comment}${indent}${name}${mark}: ${shapeOf(field, indent)}`
}

function block(title: string, schema: GenericSchema): string {
  return `${title}:\n\n\`\`\`ts\n${shapeOf(schema, '')}\n\`\`\``
}

function sectionOf({ method, path, summary, params, answer, isLong, isStream, servedBy }: Operation): string {
  const parts = [
    `## ${method} ${path}`,
    `${summary} Served by: ${servedBy.join(', ')}.${isLong === true ? ' Sent piece by piece.' : ''}${isStream === true ? ' A stream.' : ''}`,
    ...(params === undefined ? [] : [block(method === 'GET' ? 'Parameters' : 'Body', params)]),
    answer === 'text' ? 'Answer: plain text.' : block(isStream === true ? 'Each line of the answer' : 'Answer', answer),
  ]
  return parts.join('\n\n')
}

/** The whole text of docs/agent-api.md. */
export function agentApiPage(): string {
  return `${[intro.trim(), ...operationNames.map((name) => sectionOf(operationOf(name)))].join('\n\n')}\n`
}
