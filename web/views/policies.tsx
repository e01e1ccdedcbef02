// Network policies: whom they select, what their rules have decided, what of them cannot be enforced.
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { type ListedPolicy } from '#/api/schemas/policy.ts'
import { type PoliciesReport } from '#/ui/contract.ts'
import { plural } from '../derive/words.ts'
import { useAnswer } from '../parts/answer.ts'
import { Loading, NodeLink, NoNews, Sign, Told, Trouble } from '../parts/basics.tsx'

const shown = 100

function Policy({
  policy: { policy, tier, priority, subject, pods, rules, faults },
}: {
  policy: ListedPolicy
}): JSX.Element {
  return (
    <details class="fold speaker" open={faults.length > 0}>
      <summary>
        <b class="name">{policy.replace(/^[a-z]+\//, '')}</b>{' '}
        <span class="soft">
          {tier !== undefined && tier !== 'NetworkPolicy' && `${tier}${priority === undefined ? '' : ` ${priority}`}, `}
          {subject}: {plural(pods, 'pod')}
        </span>
        {faults.length > 0 && <Told tone="bad">{plural(faults.length, 'part')} cannot be enforced</Told>}
      </summary>
      {faults.map(({ field, why }) => (
        <p class="told bad">
          <Sign />
          <span>
            <code>{field}</code>: {why}
          </span>
        </p>
      ))}
      {rules.length > 0 && (
        <div class="scroll">
          <table class="list">
            <thead>
              <tr>
                <th scope="col">Rule</th>
                <th scope="col">Does</th>
                <th scope="col">With whom, on which ports</th>
                <th scope="col" class="number">
                  Connections
                </th>
              </tr>
            </thead>
            <tbody>
              {rules.map(({ direction, index, name, action, text, connections }) => (
                <tr key={`${direction} ${index}`}>
                  <th scope="row">
                    {direction} {index}
                    {name !== undefined && <span class="addr">{name}</span>}
                  </th>
                  <td>{action}</td>
                  <td>{text}</td>
                  <td class="number">{connections?.toLocaleString('en')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  )
}

function Missing({ report: { failing, silences, notAsked, asked } }: { report: PoliciesReport }): JSX.Element {
  return (
    <>
      {failing.length > 0 && (
        <ul class="silences">
          {failing.map(({ node, why }) => (
            <li class="told bad">
              <Sign />
              <span>
                <NodeLink name={node} /> does not enforce them as they are now: {why}
              </span>
            </li>
          ))}
        </ul>
      )}
      {silences.length > 0 && (
        <p class="told unknown">
          <Sign />
          <span>
            {plural(silences.length, 'node')} did not say: {silences[0]!.node}, {silences[0]!.why}
          </span>
        </p>
      )}
      {notAsked > 0 && (
        <p class="soft">
          Connections are those of {plural(asked, 'node')}; {notAsked.toLocaleString('en')} others were not asked.
        </p>
      )}
    </>
  )
}

export function PoliciesView(): JSX.Element {
  const { value, why, atMs } = useAnswer<PoliciesReport>('policies', 10_000)
  const [text, setText] = useState('')
  const found = value?.policies.filter(({ policy }) => policy.includes(text)) ?? []
  return (
    <>
      <h1 tabIndex={-1}>Network policies</h1>
      {value === undefined && why === undefined && <Loading what="Asking nodes…" />}
      {value === undefined && why !== undefined && <Trouble title="This is not known now" why={why} />}
      {why !== undefined && atMs !== undefined && <NoNews why={why} atMs={atMs} />}
      {value && (
        <>
          <p class="lead">
            {value.policies.length === 0
              ? 'The cluster has no policy: every pod may talk to every other one.'
              : `${plural(value.policies.length, 'policy', 'policies')}; counters say how many connections each rule has decided about.`}
          </p>
          {value.policies.length > 8 && (
            <label class="search">
              <span class="sr">Policies whose name holds</span>
              <input
                type="search"
                placeholder="name"
                value={text}
                onInput={(event) => setText(event.currentTarget.value.trim())}
              />
            </label>
          )}
          <Missing report={value} />
          {found.slice(0, shown).map((policy) => (
            <Policy key={policy.policy} policy={policy} />
          ))}
          {found.length > shown && <p class="soft">{found.length - shown} more: search for a name</p>}
        </>
      )}
    </>
  )
}
