// Writes complete answers.
import type { ServerResponse } from 'node:http'
import type { ApiError } from '../api-error.ts'
import type { JsonObject } from '../json.ts'

export function sendBytes(response: ServerResponse, code: number, contentType: string, body: Uint8Array): void {
  response.writeHead(code, {
    'content-type': contentType,
    'content-length': body.length,
    'cache-control': 'no-cache, private',
  })
  response.end(body)
}

/** Sends `json`, which is JSON text. */
export function sendText(response: ServerResponse, code: number, json: string, contentType = 'application/json'): void {
  sendBytes(response, code, contentType, Buffer.from(json))
}

export function sendJson(response: ServerResponse, code: number, value: JsonObject): void {
  sendText(response, code, JSON.stringify(value))
}

export function sendError(response: ServerResponse, error: ApiError): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  // the rest of an unread body could not be told from the next request
  if (error.code === 413) response.setHeader('connection', 'close')
  if (error.details?.retryAfterSeconds !== undefined) response.setHeader('retry-after', error.details.retryAfterSeconds)
  if (error.code === 401) response.setHeader('www-authenticate', 'Bearer realm="kubernetes"')
  sendJson(response, error.code, error.toStatus())
}
