// The frame of every view: where one is, what is looked at, and how old it is.
import { type JSX } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { headlineOf } from '../derive/headline.ts'
import { pairsOf } from '../derive/pairs.ts'
import { agoText, plural } from '../derive/words.ts'
import { wrongOf } from '../derive/wrong.ts'
import { type Route, routeOf, to } from '../state/route.ts'
import { type State } from '../state/state.ts'
import { useIsOld, useStore } from '../state/store.ts'
import { Sign, Trouble, useNow } from '../parts/basics.tsx'
import { BgpView } from './bgp.tsx'
import { MatrixView } from './matrix.tsx'
import { NodeView } from './node.tsx'
import { Overview } from './overview.tsx'
import { PairView } from './pair.tsx'
import { PoliciesView } from './policies.tsx'
import { TraceView } from './trace.tsx'
import { FindingView } from './wrong.tsx'

const entries: readonly (readonly [views: readonly Route['view'][], href: string, title: string])[] = [
  [['overview', 'node', 'finding'], to.overview, 'Overview'],
  [['matrix', 'pair'], to.matrix(), 'Pairs'],
  [['bgp'], to.bgp, 'BGP'],
  [['policies'], to.policies, 'Policies'],
  [['trace'], to.trace(), 'Follow a packet'],
]

function useRoute(): Route {
  const [hash, set] = useState(location.hash)
  useEffect(() => {
    const listen = (): void => set(location.hash)
    addEventListener('hashchange', listen)
    return () => removeEventListener('hashchange', listen)
  }, [])
  return useMemo(() => routeOf(hash), [hash])
}

/** How old what is seen is. It is no live region: it changes every second. */
function Age({ state: { link, heardMs, askedMs, rounds }, isOld }: { state: State; isOld: boolean }): JSX.Element {
  const now = useNow()
  if (link === 'connecting' || heardMs === undefined) return <span class="age none">connecting…</span>
  const ageMs = Math.max(0, now - (askedMs ?? heardMs))
  if (link !== 'live')
    return (
      <span class="age bad">
        <Sign />
        {`${agoText(now - heardMs)} old`}
      </span>
    )
  if (askedMs === undefined) return <span class="age none">asking the nodes…</span>
  const tone = isOld ? 'unknown' : 'good'
  return (
    <span class={`age ${tone}`}>
      {tone === 'good' ? <span key={rounds} class="beat-dot" aria-hidden="true" /> : <Sign />}
      {ageMs < 3_000 && !isOld ? 'live' : `asked ${agoText(ageMs)} ago`}
    </span>
  )
}

function Notices({ state: { link, why, failure, unlisted, heardMs } }: { state: State }): JSX.Element | null {
  if (link === 'strange')
    return (
      <Trouble
        title="This page does not have the secret of this start"
        why="causeway ui was started anew, or its page was opened without the secret: open the address that it printed."
      />
    )
  if (link === 'lost')
    return (
      <div class="notice unknown" role="alert">
        <Sign />
        <p>
          No news: {why}. {heardMs === undefined ? '' : 'What is shown was known before. '}It is asked again by itself;
          if causeway ui was ended, start it and open the address that it prints.
        </p>
      </div>
    )
  if (failure !== undefined)
    return (
      <div class="notice unknown" role="alert">
        <Sign />
        <p>The agents cannot be found now: {failure}. What is shown was known before.</p>
      </div>
    )
  if (unlisted !== undefined)
    return (
      <div class="notice unknown" role="status">
        <Sign />
        <p>{`${unlisted[0]!.toUpperCase()}${unlisted.slice(1)}.`}</p>
      </div>
    )
  return null
}

function titleOf(route: Route): string {
  switch (route.view) {
    case 'node':
      return route.name
    case 'pair':
      return `${route.from} and ${route.to}`
    case 'finding':
      return `${route.code} ${route.object}`
    default:
      return entries.find(([views]) => views.includes(route.view))?.[2] ?? ''
  }
}

export function App(): JSX.Element {
  const state = useStore()
  const isOld = useIsOld(state)
  const route = useRoute()
  const main = useRef<HTMLElement>(null)
  const { nodes, doctor, link, askedMs, failure } = state
  const pairs = useMemo(() => pairsOf(nodes), [nodes])
  const wrong = useMemo(() => wrongOf({ nodes, ...(doctor && { doctor }) }), [nodes, doctor])
  const headline = useMemo(
    () =>
      headlineOf(
        { link, nodes, ...(askedMs !== undefined && { askedMs }), ...(failure !== undefined && { failure }) },
        [...pairs.values()],
        wrong,
        isOld,
      ),
    [link, nodes, pairs, wrong, askedMs === undefined, failure, isOld],
  )
  const title = titleOf(route)
  // who goes to another view by the keyboard is to stand at its beginning: at once, as the window's name changes with what is shown
  const isFirst = useRef(true)
  useLayoutEffect(() => {
    if (!isFirst.current) {
      scrollTo(0, 0)
      main.current?.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true })
    }
    isFirst.current = false
  }, [title, route.view])
  useLayoutEffect(() => {
    document.title = `${wrong.length > 0 ? `(${wrong.length}) ` : ''}${route.view === 'overview' ? headline.title : title} – Causeway`
  }, [title, headline.title, wrong.length, route.view])
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          main.current?.querySelector<HTMLElement>('h1')?.focus()
        }}
      >
        To the content
      </a>
      <header class="frame-top">
        <p class="brand">
          <a href={to.overview}>causeway</a>
          <span class="source">{state.source}</span>
        </p>
        <nav aria-label="Views">
          <ul>
            {entries.map(([views, href, name]) => (
              <li>
                <a href={href} aria-current={views.includes(route.view) ? 'page' : undefined}>
                  {name}
                  {name === 'Overview' && wrong.length > 0 && route.view !== 'overview' && (
                    <span class="count bad">
                      <span class="sr">, {plural(wrong.length, 'thing')} wrong</span>
                      <span aria-hidden="true">{wrong.length}</span>
                    </span>
                  )}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <Age state={state} isOld={isOld} />
      </header>
      <p class="sr" role="status">
        {headline.title}
      </p>
      <Notices state={state} />
      <main ref={main} id="main" class={isOld ? 'old' : ''}>
        {route.view === 'overview' && (
          <Overview state={state} pairs={pairs} wrong={wrong} headline={headline} isOld={isOld} />
        )}
        {route.view === 'node' && (
          <NodeView key={route.name} name={route.name} state={state} wrong={wrong} isOld={isOld} />
        )}
        {route.view === 'pair' && <PairView key={`${route.from} ${route.to}`} from={route.from} to={route.to} />}
        {route.view === 'matrix' && <MatrixView state={state} pairs={pairs} from={route.from} to={route.to} />}
        {route.view === 'bgp' && <BgpView state={state} />}
        {route.view === 'policies' && <PoliciesView />}
        {route.view === 'trace' && (
          <TraceView key={`${route.from} ${route.to}`} state={state} from={route.from} to={route.to} />
        )}
        {route.view === 'finding' && (
          <FindingView
            state={state}
            isOld={isOld}
            code={route.code}
            object={route.object}
            wrong={wrong.find((each) => each.code === route.code && each.objects.includes(route.object))}
          />
        )}
        {route.view === 'unknown' && (
          <>
            <h1 tabIndex={-1}>There is no such view</h1>
            <p>
              <a href={to.overview}>Overview</a>
            </p>
          </>
        )}
      </main>
      <footer>
        <p>
          causeway {state.version}. This page is served by the command alone; it holds names and addresses of the
          cluster.
        </p>
      </footer>
    </>
  )
}
