// Request bodies: limited in size, JSON or YAML.
import type { IncomingMessage } from 'node:http'
import { parse as parseYaml } from 'yaml'
import { messageOf } from '#/lib/log.ts'
import { badRequest, tooLarge, unsupportedMediaType } from '../api-error.ts'
import { parseJson, type Json } from '../json.ts'
import type { Definitions } from '../schema/schema.ts'
import { decodeProtobuf, protobufMediaType } from './protobuf-body.ts'

/** The limit of kube-apiserver (--max-request-body-bytes). */
const limitBytes = 3 * 1024 * 1024

export type Body = { readonly mediaType: string; readonly bytes: Buffer }

/** Reads the whole body; throws 413. */
export async function readBody(request: IncomingMessage): Promise<Body> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limitBytes) throw tooLarge(limitBytes)
    chunks.push(chunk)
  }
  const mediaType = (request.headers['content-type'] ?? 'application/json').split(';')[0]!.trim().toLowerCase()
  return { mediaType, bytes: Buffer.concat(chunks) }
}

/** Reads an object sent as JSON, YAML or protobuf (of built-in kinds); throws 400 and 415. */
export function parseObject({ mediaType, bytes }: Body, definitions: Definitions): Json {
  if (mediaType === 'application/yaml') return yaml(bytes.toString())
  if (mediaType === 'application/json') return json(bytes.toString())
  if (mediaType === protobufMediaType) return decodeProtobuf(bytes, definitions)
  throw unsupportedMediaType(['application/json', 'application/yaml'])
}

/** Parses a patch. Apply patches may be YAML, which includes JSON. */
export function parsePatch({ mediaType, bytes }: Body): Json {
  const text = bytes.toString()
  return mediaType.endsWith('+yaml') && !text.trimStart().startsWith('{') ? yaml(text) : json(text)
}

function json(text: string): Json {
  try {
    return parseJson(text)
  } catch (error) {
    throw badRequest(
      `the object provided is unrecognized: couldn't get version/kind; json parse error: ${messageOf(error)}`,
    )
  }
}

function yaml(text: string): Json {
  try {
    // aliases are limited, so that a few bytes do not expand into gigabytes
    const value: Json | undefined = parseYaml(text, { schema: 'core', maxAliasCount: 100 })
    return value ?? null
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: ${messageOf(error)}`)
  }
}
