// One node: what is wrong with it, its kernel objects, its ways to others, its pods and addresses, its BGP sessions.
import { type JSX } from 'preact'
import { type NodeDetail, type NodeRow } from '#/ui/contract.ts'
import {
  capital,
  datapathWords,
  nodeTones,
  nodeWords,
  pairTones,
  pairWords,
  plural,
  rttText,
  wayWords,
} from '../derive/words.ts'
import { type Wrong, wrongAt } from '../derive/wrong.ts'
import { to } from '../state/route.ts'
import { type State } from '../state/state.ts'
import { useAnswer } from '../parts/answer.ts'
import { Ago, Fact, Loading, NodeLink, NoNews, Sign, Told } from '../parts/basics.tsx'
import { Sessions } from './bgp-sessions.tsx'
import { Objects } from './node-objects.tsx'
import { Addresses, Pods, Programs, Verdicts } from './node-parts.tsx'
import { WrongCard, wrongTitle } from './wrong.tsx'

function Facts({ row }: { row: NodeRow }): JSX.Element {
  const { addrs, podCIDRs, rack, zone, version, datapath, pods, addresses, policies, observes } = row
  return (
    <dl class="facts">
      <Fact name={addrs.length === 1 ? 'Address' : 'Addresses'}>{addrs.join(', ')}</Fact>
      <Fact name="Pod CIDRs">{podCIDRs.join(', ')}</Fact>
      <Fact name="Rack">{rack === zone ? undefined : rack}</Fact>
      <Fact name="Zone">{zone}</Fact>
      <Fact name="Pods hang on">
        {observes === undefined ? datapath && datapathWords[datapath] : `${observes}, which is only observed`}
      </Fact>
      <Fact name="Pods">{pods}</Fact>
      <Fact name="Addresses in use">{addresses && `${addresses.used} of ${addresses.total}`}</Fact>
      <Fact name="Policies">
        {policies &&
          (policies.state === 'off'
            ? 'none in the cluster'
            : `${policies.state}, ${policies.selecting} ${policies.selecting === 1 ? 'selects' : 'select'} pods here`)}
      </Fact>
      <Fact name="Agent">{version}</Fact>
    </dl>
  )
}

function Probed({ row: { name, pairs } }: { row: NodeRow }): JSX.Element | null {
  if (pairs.length === 0) return null
  return (
    <section aria-labelledby="probed">
      <h2 id="probed">
        Nodes that it probes <small>{pairs.length}</small>
      </h2>
      <ul class="probed">
        {pairs.map(({ to: other, state, way, rttMs, sinceMs }) => (
          <li key={other}>
            <a href={to.pair(name, other)}>
              <Told tone={pairTones[state]}>
                <b class="name">{other}</b>{' '}
                <span class="soft">
                  {wayWords[way]}
                  {state === 'ok' ? (
                    rttMs !== undefined && `, ${rttText(rttMs)}`
                  ) : (
                    <>
                      , {pairWords[state]} for <Ago ms={sinceMs} />
                    </>
                  )}
                </span>
              </Told>
            </a>
          </li>
        ))}
      </ul>
    </section>
  )
}

function Silences({ silences }: Pick<NodeDetail, 'silences'>): JSX.Element | null {
  if (silences.length === 0) return null
  return (
    <ul class="silences">
      {silences.map(({ what, why }) => (
        <li class="told unknown">
          <Sign />
          <span>
            It does not say {what}: {why}
          </span>
        </li>
      ))}
    </ul>
  )
}

export function NodeView({
  name,
  state: { nodes, ...state },
  wrong,
  isOld,
}: {
  name: string
  state: State
  wrong: readonly Wrong[]
  isOld: boolean
}): JSX.Element {
  const row = nodes.get(name)
  const { value, why, atMs } = useAnswer<NodeDetail>(`node/${encodeURIComponent(name)}`)
  const own = wrongAt(wrong, name)
  return (
    <>
      <h1 tabIndex={-1}>
        <small>node</small> {name}
      </h1>
      {row === undefined ? (
        nodes.size > 0 && <p class="soft">No node of this name is known now.</p>
      ) : (
        <>
          <p class="state-line">
            <Told tone={nodeTones[row.state]}>
              {capital(nodeWords[row.state])}
              {row.why !== undefined && `: ${row.why}`}
            </Told>
            {row.isApiLost && <Told tone="unknown">its agent does not hear from the Kubernetes API</Told>}
          </p>
          <Facts row={row} />
        </>
      )}
      {own.length > 0 && (
        <section aria-labelledby="wrong">
          <h2 id="wrong">{wrongTitle(isOld, ' here')}</h2>
          <div class="wrongs">
            {own.map((each) => (
              <WrongCard key={`${each.code} ${each.object}`} wrong={each} state={{ ...state, nodes }} />
            ))}
          </div>
        </section>
      )}
      {row && <Probed row={row} />}
      {value === undefined && why === undefined && <Loading what="Asking its agent…" />}
      {why !== undefined && value === undefined && <Told tone="unknown">{why}</Told>}
      {why !== undefined && atMs !== undefined && <NoNews why={why} atMs={atMs} />}
      {value && (
        <>
          <Silences silences={value.silences} />
          {value.status && <Verdicts name={name} verdicts={value.status.verdicts} />}
          {value.status && <Objects objects={value.status.objects} />}
          {value.status && <Pods node={name} endpoints={value.status.endpoints} />}
          {value.ipam && <Addresses ipam={value.ipam} />}
          {value.bgp && value.bgp.peers.length > 0 && (
            <section aria-labelledby="bgp">
              <h2 id="bgp">
                BGP sessions <small>{plural(value.bgp.peers.length, 'neighbour')}</small>
              </h2>
              <Sessions report={value.bgp} />
            </section>
          )}
          {value.datapath?.programs && <Programs programs={value.datapath.programs} />}
        </>
      )}
      <p class="actions">
        <a class="button" href={to.trace(name)}>
          Follow a packet from here
        </a>{' '}
        <NodeLinkHint name={name} nodes={nodes} />
      </p>
    </>
  )
}

/** The next node by name: who looks at one after the other need not go back. */
function NodeLinkHint({ name, nodes }: { name: string; nodes: State['nodes'] }): JSX.Element | null {
  const names = [...nodes.keys()]
  const next = names[(names.indexOf(name) + 1) % names.length]
  return next === undefined || next === name ? null : (
    <span>
      Next: <NodeLink name={next} />
    </span>
  )
}
