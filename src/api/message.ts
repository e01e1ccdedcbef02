// Writes and reads the requests and answers of the API; client and server use the same functions.
import { messageOf } from '#/lib/log.ts'
import { type AnswerOf, type Operation, operationOf, type OperationName, type ParamsOf } from './operations.ts'
import { type Read, readWith } from './read.ts'
import { type AgentRequest } from './transport.ts'

/** The beginning of a 404's text when the operation is unknown; any other 404 means that the object asked for does not exist. */
export const unknownOperation = 'no such operation: '

/** The request that calls an operation with these parameters. */
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
  // an operation without parameters needs no body
  if (body === '' && operation.params === undefined) return { value: {} }
  try {
    const given = JSON.parse(body) as unknown
    if (typeof given === 'object' && given !== null && !Array.isArray(given)) return readFields(operation, given)
    return { mismatch: `the body: expected a JSON object, not ${body.slice(0, 40)}` }
  } catch (error) {
    return { mismatch: `the body is no JSON: ${messageOf(error)}` }
  }
}

/** Reads the parameters of a received request into the operation's ParamsOf; `mismatch` names the field that is wrong. */
export function readParams(operation: Operation, query: URLSearchParams, body: string): Read<unknown> {
  if (operation.method === 'GET') return readQuery(operation, query)
  const [given] = query.keys()
  if (given !== undefined) return { mismatch: `${given}: a POST has its parameters in the body, not behind "?"` }
  return readBody(operation, body)
}

/** Reads the text of an answer with status 200. Fields that the schema does not declare are kept: they come from a newer agent. */
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
