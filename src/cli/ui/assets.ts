// The files of the page, which hold no data: read once, and given to who asks.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { type IncomingMessage, type ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
}

type Asset = { readonly type: string; readonly tag: string; readonly plain: Buffer; readonly packed: Buffer }

export class Assets {
  /** By the path of a request. */
  readonly #files = new Map<string, Asset>()

  /** Throws when there is no page in the folder. */
  constructor(folder: string) {
    for (const name of readdirSync(folder)) {
      const type = types[extname(name)]
      if (type === undefined) continue
      const plain = readFileSync(join(folder, name))
      const tag = `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`
      this.#files.set(name === 'index.html' ? '/' : `/${name}`, { type, tag, plain, packed: gzipSync(plain) })
    }
    if (!this.#files.has('/')) throw new Error(`there is no index.html in ${folder}`)
  }

  /** Answers when there is such a file; returns whether there is. */
  serve(path: string, request: IncomingMessage, response: ServerResponse, isGzip: boolean): boolean {
    const asset = this.#files.get(path)
    if (asset === undefined) return false
    const { type, tag, plain, packed } = asset
    // another release may serve at the same address the next time
    response.setHeader('cache-control', 'no-cache')
    response.setHeader('etag', tag)
    response.setHeader('vary', 'accept-encoding')
    if (request.headers['if-none-match'] === tag) {
      response.writeHead(304).end()
      return true
    }
    const body = isGzip ? packed : plain
    response.writeHead(200, {
      'content-type': type,
      'content-length': body.length,
      ...(isGzip && { 'content-encoding': 'gzip' }),
    })
    response.end(body)
    return true
  }
}
