// Which view the address asks for. Every view has an address that can be passed on. Pure.

export type Route =
  | { readonly view: 'overview' }
  | { readonly view: 'node'; readonly name: string }
  | { readonly view: 'pair'; readonly from: string; readonly to: string }
  | { readonly view: 'matrix'; readonly from?: string; readonly to?: string }
  | { readonly view: 'bgp' }
  | { readonly view: 'policies' }
  | { readonly view: 'trace'; readonly from?: string; readonly to?: string }
  | { readonly view: 'finding'; readonly code: string; readonly object: string }
  | { readonly view: 'unknown'; readonly hash: string }

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function queryOf(text: string): { readonly from?: string; readonly to?: string } {
  const query = new URLSearchParams(text)
  const [from, to] = [query.get('from'), query.get('to')]
  return { ...(from && { from }), ...(to && { to }) }
}

export function routeOf(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const [view, first, ...rest] = path.split('/').map(decoded)
  const second = rest.join('/')
  if (view === '') return { view: 'overview' }
  if (view === 'node' && first) return { view, name: first }
  if (view === 'pair' && first && second) return { view, from: first, to: second }
  if (view === 'finding' && first && second) return { view, code: first, object: second }
  if (view === 'matrix' || view === 'trace') return { view, ...queryOf(query) }
  if (view === 'bgp' || view === 'policies') return { view }
  return { view: 'unknown', hash }
}

const encoded = encodeURIComponent

const query = (values: Readonly<Record<string, string | undefined>>): string => {
  const told = Object.entries(values).filter(([, value]) => value !== undefined)
  return told.length === 0 ? '' : `?${told.map(([name, value]) => `${name}=${encoded(value!)}`).join('&')}`
}

/** Addresses of views, for links. */
export const to = {
  overview: '#/',
  bgp: '#/bgp',
  policies: '#/policies',
  node: (name: string) => `#/node/${encoded(name)}`,
  pair: (from: string, other: string) => `#/pair/${encoded(from)}/${encoded(other)}`,
  matrix: (from?: string, other?: string) => `#/matrix${query({ from, to: other })}`,
  trace: (from?: string, other?: string) => `#/trace${query({ from, to: other })}`,
  finding: (code: string, object: string) => `#/finding/${encoded(code)}/${object.split('/').map(encoded).join('/')}`,
} as const
