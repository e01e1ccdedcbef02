// What is wrong, each cause with what mends it, ready for a ticket.
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { type NodeRow } from '#/ui/contract.ts'
import { type State } from '../state/state.ts'
import { to } from '../state/route.ts'
import { doctorText } from '../derive/doctor-text.ts'
import { capital, plural } from '../derive/words.ts'
import { wrongTicket } from '../derive/ticket.ts'
import { absenceOf, type Wrong } from '../derive/wrong.ts'
import { Ago, NodeLink, NodeLinks, Sign } from '../parts/basics.tsx'
import { Copy } from '../parts/copy.tsx'

const shownAtFirst = 3
const shownOthers = 20

function Details({ wrong }: { wrong: Wrong }): JSX.Element {
  const { how, nodes, consequences, others } = wrong
  return (
    <>
      <dl class="facts">
        <div>
          <dt>Known from</dt>
          <dd>{how}</dd>
        </div>
        <div>
          <dt>Told by</dt>
          <dd>
            <NodeLinks names={nodes} />
          </dd>
        </div>
      </dl>
      {others.length > 0 && (
        <div class="so">
          <p class="label">The same of others</p>
          <ul>
            {others.slice(0, shownOthers).map((text) => (
              <li>{text}</li>
            ))}
            {others.length > shownOthers && <li>and {others.length - shownOthers} more</li>}
          </ul>
        </div>
      )}
      {consequences.length > 0 && (
        <div class="so">
          <p class="label">What follows from it</p>
          <ul>
            {consequences.map((text) => (
              <li>{text}</li>
            ))}
          </ul>
        </div>
      )}
    </>
  )
}

export function WrongCard({
  wrong,
  state,
  isOpen = false,
}: {
  wrong: Wrong
  state: State
  isOpen?: boolean
}): JSX.Element {
  const { code, objects, object, message, remedy, consequences } = wrong
  return (
    <article class="wrong bad">
      <Sign />
      <div>
        {!isOpen && (
          <h3>
            <a href={to.finding(code, object)}>
              <code class="problem">{code}</code> <span class="object">{objects.slice(0, 3).join(', ')}</span>
            </a>
            {objects.length > 3 && <span class="object"> and {objects.length - 3} more</span>}
          </h3>
        )}
        <p class="message">{capital(message)}</p>
        <div class="mends">
          <p>
            <b>What mends it:</b> {remedy}
          </p>
        </div>
        {isOpen ? (
          <Details wrong={wrong} />
        ) : (
          <details>
            <summary>
              How it is known
              {consequences.length > 0 &&
                `, and ${plural(consequences.length, 'thing')} that follow${consequences.length === 1 ? 's' : ''} from it`}
            </summary>
            <Details wrong={wrong} />
          </details>
        )}
        <p class="actions">
          <Copy label="Copy as a ticket" what={`${code} ${object}`} text={() => wrongTicket(wrong, state)} />
          <Copy label="Copy the remedy" what={`${code} ${object}`} text={() => remedy} />
        </p>
      </div>
    </article>
  )
}

/** What doctor is doing, and how old what it said is. */
export function DoctorLine({
  state: { doctor },
  isTold,
  onAsk,
}: {
  state: State
  isTold: boolean
  onAsk: () => void
}): JSX.Element {
  return (
    <p class="doctor">
      <span>{doctorText(doctor, isTold)}</span>{' '}
      <button type="button" class="quiet" disabled={doctor?.state === 'running'} onClick={onAsk}>
        Look again
      </button>
    </p>
  )
}

/** Nodes whose agent does not answer, of which no finding tells: doctor may not have looked yet. */
function Silent({ rows }: { rows: readonly NodeRow[] }): JSX.Element {
  const shown = rows.slice(0, shownAtFirst)
  return (
    <article class="wrong bad">
      <Sign />
      <div>
        <h3>{rows.length === 1 ? 'An agent does not answer' : `${rows.length} agents do not answer`}</h3>
        <ul>
          {shown.map(({ name, why, heardMs }) => (
            <li key={name}>
              <NodeLink name={name} />
              {why !== undefined && `: ${why}`}
              {heardMs !== undefined && (
                <span class="soft">
                  , heard <Ago ms={heardMs} /> ago
                </span>
              )}
            </li>
          ))}
          {rows.length > shown.length && <li class="soft">and {rows.length - shown.length} more</li>}
        </ul>
      </div>
    </article>
  )
}

function silentIn(nodes: State['nodes'], all: readonly Wrong[]): NodeRow[] {
  const told = new Set(all.flatMap(({ objects }) => objects))
  return [...nodes.values()].filter(({ name, state }) => state === 'silent' && !told.has(`node/${name}`))
}

/** What was wrong before nobody told any more may have been mended. */
export const wrongTitle = (isOld: boolean, here = ''): string =>
  `Wrong${here} ${isOld ? 'when it was last known' : 'now'}`

export function WrongList({
  all,
  state,
  isOld,
}: {
  all: readonly Wrong[]
  state: State
  isOld: boolean
}): JSX.Element | null {
  const [isWhole, setWhole] = useState(false)
  const silent = silentIn(state.nodes, all)
  if (all.length === 0 && silent.length === 0) return null
  const shown = isWhole ? all : all.slice(0, shownAtFirst)
  return (
    <section aria-labelledby="wrong">
      <h2 id="wrong">{wrongTitle(isOld)}</h2>
      <div class="wrongs">
        {shown.map((wrong) => (
          <WrongCard key={`${wrong.code} ${wrong.object}`} wrong={wrong} state={state} />
        ))}
        {silent.length > 0 && <Silent rows={silent} />}
      </div>
      {all.length > shown.length && (
        <button type="button" onClick={() => setWhole(true)}>
          Show {all.length - shown.length} more
        </button>
      )}
    </section>
  )
}

export function FindingView({
  wrong,
  state,
  isOld,
  code,
  object,
}: {
  wrong: Wrong | undefined
  state: State
  isOld: boolean
  code: string
  object: string
}): JSX.Element {
  const absence = absenceOf(state, isOld)
  return (
    <>
      <h1 tabIndex={-1}>
        {code} <small>{object}</small>
      </h1>
      {wrong === undefined ? (
        <p class={`gone ${absence.tone}`}>
          <Sign /> {absence.text} docs/problems.md explains {code}.
        </p>
      ) : (
        <WrongCard wrong={wrong} state={state} isOpen />
      )}
      <p class="actions">
        <a href={to.overview}>All that is wrong now</a>
      </p>
    </>
  )
}
