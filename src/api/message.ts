// Requests and answers as they travel, and back: both sides of the API use the same functions.
import { messageOf } from '#/lib/log.ts'
import { type AnswerOf, type Operation, operationOf, type OperationName, type ParamsOf } from './operations.ts'
import { type Read, readWith } from './read.ts'
import { type AgentRequest } from './transport.ts'

/** How the text of a 404 begins when the operation is unknown; without it, what the operation is about is. */
export const unknownOperation = 'no such operation: '

/** What to send. */
export function requestOf<Name extends OperationName>(name: Name, params: ParamsOf<Name>): AgentRequest {
  const { method, path, params: schema } = operationOf(name)
  if (schema === undefined) return { method, path }
  if (method === 'POST') return { method, path, body: JSON.stringify(params) }
  const given = Object.entries(params as Record<string, unknown>).filter(([, value]) => value !== undefined)
  const query = new URLSearchParams(given.map(([key, value]) => [key, String(value)]))
  return { method, path: query.size === 0 ? path : `${path}?${query}` }
}

function readFields({ params: schema }: Operation, given: object): Read<unknown> {
  const known = Object.keys(schema?.entries ?? {})
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined)
    return { mismatch: `${unknown}: is unknown; ${known.length === 0 ? 'nothing can be asked' : known.join(', ')}` }
  return schema === undefined ? { value: {} } : readWith(schema, given)
}

function readQuery(operation: Operation, query: URLSearchParams): Read<unknown> {
  const twice = [...query.keys()].find((key) => query.getAll(key).length > 1)
  if (twice !== undefined) return { mismatch: `${twice}: is given more than once` }
  return readFields(operation, Object.fromEntries(query))
}

function readBody(operation: Operation, body: string): Read<unknown> {
  // an operation that asks for nothing needs no body
  if (body === '' && operation.params === undefined) return { value: {} }
  try {
    const given = JSON.parse(body) as unknown
    if (typeof given === 'object' && given !== null && !Array.isArray(given)) return readFields(operation, given)
    return { mismatch: `the body: expected a JSON object, not ${body.slice(0, 40)}` }
  } catch (error) {
    return { mismatch: `the body is no JSON: ${messageOf(error)}` }
  }
}

/** The parameters of a request that came, as the operation's ParamsOf; `mismatch` names the field that is wrong. */
export function readParams(operation: Operation, query: URLSearchParams, body: string): Read<unknown> {
  if (operation.method === 'GET') return readQuery(operation, query)
  const [given] = query.keys()
  if (given !== undefined) return { mismatch: `${given}: a POST has its parameters in the body, not behind "?"` }
  return readBody(operation, body)
}

/** The text of an answer with status 200. Fields that the schema does not declare stay: they are of a newer agent. */
export function readAnswer<Name extends OperationName>(name: Name, text: string): Read<AnswerOf<Name>> {
  const { answer: schema } = operationOf(name)
  if (schema === 'text') return { value: text as AnswerOf<Name> }
  try {
    const value = JSON.parse(text) as AnswerOf<Name>
    const read = readWith(schema, value)
    return 'mismatch' in read ? read : { value }
  } catch (error) {
    return { mismatch: `no JSON: ${messageOf(error)}` }
  }
}
