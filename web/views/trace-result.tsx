// A trace as its own page shows it, within this one: the same parts, the same walk.
import { type JSX } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import { walk } from 'walk'
import { type PageTrace } from '#/trace/page/input.ts'
import { tracePartsOf } from '#/trace/page/parts.ts'
import { endsHtml, whenText } from '#/trace/page/summary.ts'
import { traceTicket } from '../derive/ticket.ts'
import { type State } from '../state/state.ts'
import { Copy } from '../parts/copy.tsx'

/** A place that is named within the trace is gone to; the address is that of a view, and stays. */
function follow(event: MouseEvent, root: HTMLElement): void {
  const link = (event.target as Element).closest<HTMLAnchorElement>('a[href^="#"]')
  if (link === null) return
  event.preventDefault()
  const place = root.querySelector<HTMLElement>(`#${CSS.escape(link.hash.slice(1))}`)
  if (place === null) return
  place.tabIndex = -1
  place.scrollIntoView({ block: 'nearest' })
  place.focus({ preventScroll: true })
}

export function TraceResult({ trace, state }: { trace: PageTrace; state: State }): JSX.Element {
  const ref = useRef<HTMLDivElement>(null)
  const heading = useRef<HTMLParagraphElement>(null)
  const parts = useMemo(() => tracePartsOf(trace), [trace])
  useLayoutEffect(() => {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(parts.lengths)
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
    return () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet)
    }
  }, [parts])
  useEffect(() => walk(ref.current!), [parts])
  useEffect(() => {
    heading.current?.scrollIntoView({ block: 'start' })
    heading.current?.focus({ preventScroll: true })
  }, [parts])
  // all that is put into these parts is escaped where it is put: src/trace/page/markup.ts
  return (
    <section class="trace-result" aria-label={parts.title}>
      <p class="ends" tabIndex={-1} ref={heading} dangerouslySetInnerHTML={{ __html: endsHtml(trace).text }} />
      <p class="actions">
        <time>{whenText(trace)}</time>
        <Copy label="Copy as a ticket" what="this trace" text={() => traceTicket(trace, state)} />
      </p>
      <div
        ref={ref}
        onClick={(event) => follow(event, event.currentTarget)}
        dangerouslySetInnerHTML={{ __html: parts.main.text }}
      />
    </section>
  )
}
