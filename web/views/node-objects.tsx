// Every object that an agent keeps in its kernel: those that fail with the kernel's own words, all others by kind.
import { type JSX } from 'preact'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { plural } from '../derive/words.ts'
import { Ago, Sign } from '../parts/basics.tsx'

type ObjectStatus = AgentStatus['objects'][number]

const shown = 200

function Failed({ object: { kind, key, message, remedy, sinceMs, attempts } }: { object: ObjectStatus }): JSX.Element {
  return (
    <li class="wrong bad">
      <Sign />
      <div>
        <h3>
          {kind} <code>{key}</code>
        </h3>
        <p>
          {message ?? 'it is not there'}{' '}
          <span class="soft">
            for <Ago ms={sinceMs} />, tried {plural(attempts, 'time')}
          </span>
        </p>
        {remedy !== undefined && (
          <p class="mends">
            <b>What mends it:</b> {remedy}
          </p>
        )}
      </div>
    </li>
  )
}

function Kind({ kind, objects }: { kind: string; objects: readonly ObjectStatus[] }): JSX.Element {
  return (
    <details class="fold">
      <summary>
        <span class="name">{kind}</span> <span class="soft">{plural(objects.length, 'object')}, as wanted</span>
      </summary>
      <ul class="object-list">
        {objects.slice(0, shown).map(({ key }) => (
          <li key={key}>
            <code>{key}</code>
          </li>
        ))}
        {objects.length > shown && <li class="soft">{(objects.length - shown).toLocaleString('en')} more</li>}
      </ul>
    </details>
  )
}

export function Objects({ objects }: { objects: readonly ObjectStatus[] }): JSX.Element {
  const failed = objects.filter(({ state }) => state === 'error')
  const kinds = [
    ...Map.groupBy(
      objects.filter(({ state }) => state === 'done'),
      ({ kind }) => kind,
    ),
  ]
  return (
    <section aria-labelledby="objects">
      <h2 id="objects">
        Kernel objects{' '}
        <small>
          {(objects.length - failed.length).toLocaleString('en')} of {objects.length.toLocaleString('en')} as wanted
        </small>
      </h2>
      {failed.length > 0 && (
        <ul class="wrongs">
          {failed.slice(0, 20).map((object) => (
            <Failed key={`${object.kind} ${object.key}`} object={object} />
          ))}
          {failed.length > 20 && <li>{failed.length - 20} more</li>}
        </ul>
      )}
      <div class="kinds">
        {kinds
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([kind, own]) => (
            <Kind key={kind} kind={kind} objects={own} />
          ))}
      </div>
    </section>
  )
}
