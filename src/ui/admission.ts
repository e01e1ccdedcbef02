// Which requests the server of the page takes at all. A browser sends requests also for pages of others, and resolves names as others say:
// so the host that a request names, where it comes from, and the token decide. Pure.
import { createHash, timingSafeEqual } from 'node:crypto'

export type RequestHead = {
  readonly method: string
  /** The request target as it came. */
  readonly url: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

export type Refused = { readonly status: 400 | 401 | 403 | 415; readonly message: string }

const defaultPort = 80

/** The ways to say where the server is, which listens on loopback alone. Browsers leave out the port that is HTTP's own. */
export function ownHosts(port: number): string[] {
  const hosts = ['127.0.0.1', 'localhost', '[::1]']
  return [...hosts.map((host) => `${host}:${port}`), ...(port === defaultPort ? hosts : [])]
}

/** Refuses what does not come from this computer's user by the address that was printed. */
export function refusedByPlace({ url, headers }: RequestHead, port: number): Refused | undefined {
  const { host, origin, 'sec-fetch-site': site } = headers
  if (typeof host !== 'string' || !ownHosts(port).includes(host.toLowerCase()))
    return { status: 403, message: `this server is ${ownHosts(port)[0]}, and no other` }
  if (origin !== undefined && origin !== `http://${host.toLowerCase()}`)
    return { status: 403, message: 'requests of other pages are not served' }
  // an address that was typed or opened by a program has "none"
  if (url.startsWith('/api/') && site !== undefined && site !== 'same-origin')
    return { status: 403, message: 'requests of other pages are not served' }
  if (!url.startsWith('/') || url.startsWith('//')) return { status: 400, message: 'the request names no path' }
  return undefined
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Refuses a request for data without the token; how long that takes tells nothing of the token. */
export function refusedByToken({ headers }: RequestHead, token: string): Refused | undefined {
  const { authorization } = headers
  const given = typeof authorization === 'string' ? authorization : ''
  if (timingSafeEqual(digest(given), digest(`Bearer ${token}`))) return undefined
  return {
    status: 401,
    message: 'this is not the token of this command: open the address that it printed when it was started',
  }
}

/** A body has to be declared as JSON: no form of another page can do that. */
export function refusedByType({ method, headers }: RequestHead): Refused | undefined {
  if (method !== 'POST') return undefined
  const { 'content-type': type, 'content-length': length, 'transfer-encoding': coding } = headers
  const hasBody = coding !== undefined || (length !== undefined && length !== '0')
  const isJson = typeof type === 'string' && /^application\/json\s*(;|$)/i.test(type)
  return !hasBody || isJson ? undefined : { status: 415, message: 'a body has to be application/json' }
}

/** On every answer: nothing is loaded from elsewhere, run inline, framed, sent elsewhere or kept. */
export const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const
