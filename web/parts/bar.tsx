// What a packet carries, as the bar of a trace shows it.
import { type JSX } from 'preact'
import { type Header } from '../derive/layers.ts'

const lengths: Readonly<Record<Header['kind'], number>> = {
  link: 14,
  network: 20,
  transport: 8,
  tunnel: 8,
  payload: 34,
}

const grow = (headers: readonly Header[]): number => headers.reduce((sum, { kind }) => sum + lengths[kind], 0)

const Segment = ({ kind, name }: Header): JSX.Element => (
  <span class={`seg ${kind}`} style={{ flexGrow: lengths[kind] }}>
    <span class="long">{name}</span>
    <span class="short">{name.slice(0, kind === 'tunnel' ? 2 : 4)}</span>
  </span>
)

/** `most`: what the longest bar beside it carries. */
export function Bar({ headers, most }: { headers: readonly Header[]; most: readonly Header[] }): JSX.Element {
  const outer = headers.filter(({ isOuter }) => isOuter)
  const inner = headers.filter(({ isOuter }) => !isOuter)
  const share = Math.round((grow(headers) / grow(most)) * 100)
  return (
    <span class="bar" role="img" aria-label={headers.map(({ name }) => name).join(', ')}>
      <span class="stack" style={{ width: `${share}%` }}>
        {outer.length > 0 && (
          <span class="outer" style={{ flexGrow: grow(outer) }}>
            {outer.map((each) => (
              <Segment {...each} />
            ))}
          </span>
        )}
        <span class="inner" style={{ flexGrow: grow(inner) }}>
          {inner.map((each) => (
            <Segment {...each} />
          ))}
        </span>
      </span>
    </span>
  )
}
