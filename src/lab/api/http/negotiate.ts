// Selects the form of an answer that a client asks for: objects, tables (KEP-3157, "Receiving resources as Tables") or metadata only.
import { notAcceptable } from '../api-error.ts'

export type Form =
  | { readonly kind: 'object' }
  | { readonly kind: 'table'; readonly version: string }
  | { readonly kind: 'metadata'; readonly version: string }

type Clause = { readonly type: string; readonly parameters: ReadonlyMap<string, string>; readonly weight: number }

function clauses(accept: string): Clause[] {
  const parsed = accept.split(',').map((part) => {
    const [type = '', ...rest] = part.split(';').map((piece) => piece.trim())
    const parameters = new Map(rest.map((piece) => [piece.split('=', 1)[0]!, piece.slice(piece.indexOf('=') + 1)]))
    return { type: type.toLowerCase(), parameters, weight: Number(parameters.get('q') ?? 1) }
  })
  return parsed.filter(({ type }) => type !== '').toSorted((left, right) => right.weight - left.weight)
}

/** The first form in the Accept header that can be served; throws 406. */
export function negotiate(accept: string | undefined): Form {
  const wanted = clauses(accept ?? '')
  if (wanted.length === 0) return { kind: 'object' }
  for (const { type, parameters } of wanted) {
    if (type !== 'application/json' && type !== 'application/*' && type !== '*/*') continue
    const as = parameters.get('as')
    if (as === undefined) return { kind: 'object' }
    const version = parameters.get('v') ?? ''
    if (parameters.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) continue
    if (as === 'Table') return { kind: 'table', version }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { kind: 'metadata', version }
  }
  throw notAcceptable(['application/json'])
}
