// How packets cross between two nodes, in both directions, and why.
import { type JSX } from 'preact'
import { type Crossing, type CrossingSide } from '#/ui/contract.ts'
import { receivingLayers, sendingLayers, type Layer } from '../derive/layers.ts'
import { agoText, capital, pairTones, pairWords, percentText, rttText, wayWords, worseOf } from '../derive/words.ts'
import { to } from '../state/route.ts'
import { useAnswer } from '../parts/answer.ts'
import { Bar } from '../parts/bar.tsx'
import { Loading, NodeLink, NoNews, Sign, Told, Trouble, useNow } from '../parts/basics.tsx'

type Verdict = CrossingSide['verdicts'][number]
type PairState = CrossingSide['probes'][number]['state']

function Layers({ layers, most }: { layers: readonly Layer[]; most: Layer['headers'] }): JSX.Element {
  return (
    <ol class="layers">
      {layers.map(({ device, what, headers }) => (
        <li>
          <span class="dot" aria-hidden="true" />
          <span class="what">
            {device !== undefined && <code>{device}</code>} {what}
          </span>
          <Bar headers={headers} most={most} />
        </li>
      ))}
    </ol>
  )
}

/** What the probes of the same family see that go as packets of pods do. */
function probedState({ probes }: CrossingSide, { podCIDR }: Verdict): PairState | undefined {
  const family = podCIDR.includes(':') ? 6 : 4
  return probes.find((each) => each.path === 'pod' && each.family === family)?.state
}

function Wire({ way, state }: { way: Verdict['way']; state: PairState | undefined }): JSX.Element {
  const tone = state === undefined ? 'none' : pairTones[state]
  const isAmiss = tone === 'bad' || tone === 'unknown'
  return (
    <div class={`wire ${way}${isAmiss ? ` amiss ${tone}` : ''}`}>
      {isAmiss && <span class="sign" aria-hidden="true" />}
      <span class="line" aria-hidden="true" />
      <p>{isAmiss ? pairWords[state!] : 'network between nodes'}</p>
    </div>
  )
}

function Way({ verdict, own, other }: { verdict: Verdict; own: CrossingSide; other: CrossingSide }): JSX.Element {
  const { podCIDR, way, reason, mtuBytes } = verdict
  const sending = sendingLayers(verdict, own.datapath)
  const receiving = receivingLayers(verdict, other.datapath)
  const most = sending.at(-1)!.headers
  const state = probedState(own, verdict)
  return (
    <article class="way-of">
      <h3>
        to pods in <code>{podCIDR}</code>: <span class={`way-name ${way}`}>{wayWords[way]}</span>
      </h3>
      <p class="reason">
        {capital(reason)}.
        {mtuBytes !== undefined && ` The largest packet that goes this way whole has ${mtuBytes} bytes.`}
      </p>
      {way !== 'none' && (
        <div class="crossing">
          <div class="node">
            <h4>
              from a pod of <NodeLink name={own.node} />
            </h4>
            <Layers layers={sending} most={most} />
          </div>
          <Wire way={way} state={state} />
          <div class="node">
            <h4>
              to a pod of <NodeLink name={other.node} />
            </h4>
            <Layers layers={receiving} most={most} />
          </div>
        </div>
      )}
    </article>
  )
}

function Probes({ probes }: { probes: CrossingSide['probes'] }): JSX.Element {
  const now = useNow()
  if (probes.length === 0) return <p class="soft">This node does not probe the other one: each node probes some.</p>
  return (
    <div class="scroll">
      <table class="list">
        <caption class="sr">Probes of the other node</caption>
        <thead>
          <tr>
            <th scope="col">Probes</th>
            <th scope="col">What is seen</th>
            <th scope="col" class="number">
              Round trip
            </th>
            <th scope="col" class="number">
              Small lost
            </th>
            <th scope="col" class="number">
              Full size
            </th>
          </tr>
        </thead>
        <tbody>
          {probes.map(({ path, family, dst, state, sinceMs, rttMs, small, full }) => (
            <tr>
              <th scope="row">
                {path === 'pod' ? 'as pods' : 'as nodes'}, IPv{family} <span class="addr">{dst}</span>
              </th>
              <td>
                <Told tone={pairTones[state]}>
                  {pairWords[state]} <span class="soft">for {agoText(now - sinceMs)}</span>
                </Told>
              </td>
              <td class="number">{rttMs && rttText(rttMs.median)}</td>
              <td class="number">
                {small.sent > 0 && `${percentText((small.sent - small.answered) / small.sent)} of ${small.sent}`}
              </td>
              <td class="number">{full && `${full.answered} of ${full.sent}, ${full.sizeBytes} bytes`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** One line for a direction: by which way, and whether packets arrive, of the paths of pods the worst. */
function InShort({ own, other }: { own: CrossingSide; other: CrossingSide }): JSX.Element {
  const ways = [...new Set(own.verdicts.map(({ way }) => wayWords[way]))].join(' and ')
  const states = own.probes.filter(({ path }) => path === 'pod').map(({ state }) => state)
  const worst = states.reduce((sofar, each) => worseOf(sofar, each), states[0] ?? 'unknown')
  return (
    <li>
      <Told tone={own.verdicts.some(({ way }) => way === 'none') ? 'bad' : pairTones[worst]}>
        {own.node} to {other.node}: {ways === '' ? 'not known' : ways},{' '}
        {states.length === 0 ? 'not probed' : pairWords[worst]}
      </Told>
    </li>
  )
}

function Side({ own, other }: { own: CrossingSide; other: CrossingSide }): JSX.Element {
  return (
    <section class="side">
      <h2>
        {own.node} <span class="arrow" aria-hidden="true" />
        <span class="sr">to</span> {other.node}
      </h2>
      {own.silence !== undefined && (
        <p class="told bad">
          <Sign />
          <span>
            {own.node} does not say: {own.silence}
          </span>
        </p>
      )}
      {own.verdicts.map((verdict) => (
        <Way key={verdict.podCIDR} verdict={verdict} own={own} other={other} />
      ))}
      {own.silence === undefined && own.verdicts.length === 0 && (
        <p class="soft">It knows no pod CIDR of {other.node}.</p>
      )}
      {own.silence === undefined && <Probes probes={own.probes} />}
    </section>
  )
}

export function PairView({ from, to: other }: { from: string; to: string }): JSX.Element {
  const { value, why, atMs } = useAnswer<Crossing>(
    `crossing?from=${encodeURIComponent(from)}&to=${encodeURIComponent(other)}`,
  )
  return (
    <>
      <h1 tabIndex={-1} class="pair-title">
        <NodeLink name={from} /> <span class="arrow both" aria-hidden="true" />
        <span class="sr">and</span> <NodeLink name={other} />
      </h1>
      <p class="actions">
        <a class="button" href={to.trace(value?.there.pod ?? from, value?.back.pod ?? other)}>
          Follow a packet
        </a>
        <a class="button" href={to.pair(other, from)}>
          The other way round
        </a>
      </p>
      {why !== undefined && value === undefined && <Trouble title="This is not known now" why={why} />}
      {value === undefined && why === undefined && <Loading what="Asking both nodes…" />}
      {why !== undefined && atMs !== undefined && <NoNews why={why} atMs={atMs} />}
      {value !== undefined && (
        <>
          <ul class="words">
            <InShort own={value.there} other={value.back} />
            <InShort own={value.back} other={value.there} />
          </ul>
          <Side own={value.there} other={value.back} />
          <Side own={value.back} other={value.there} />
          <p class="soft">The devices are those of the plan. Follow a packet to see through which it goes.</p>
        </>
      )}
    </>
  )
}
