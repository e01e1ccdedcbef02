// Parts of the view of a node: its ways to others, its pods, its addresses, its eBPF programs.
import { type JSX } from 'preact'
import { useState } from 'preact/hooks'
import { type ProgramsReport } from '#/api/schemas/datapath.ts'
import { type IpamReport } from '#/api/schemas/ipam.ts'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { plural, wayWords } from '../derive/words.ts'
import { to } from '../state/route.ts'

const shown = 30

/** The first of a long list; all of it when somebody asks. */
function useSome<T>(all: readonly T[]): readonly [some: readonly T[], more: JSX.Element | null] {
  const [isWhole, setWhole] = useState(false)
  const isCut = !isWhole && all.length > shown
  const more = isCut ? (
    <button type="button" class="quiet" onClick={() => setWhole(true)}>
      Show {(all.length - shown).toLocaleString('en')} more
    </button>
  ) : null
  return [isCut ? all.slice(0, shown) : all, more]
}

export function Verdicts({ name, verdicts }: { name: string; verdicts: AgentStatus['verdicts'] }): JSX.Element | null {
  // where no way leads is what somebody looks for
  const [some, more] = useSome([...verdicts].sort((a, b) => Number(b.way === 'none') - Number(a.way === 'none')))
  if (verdicts.length === 0) return null
  return (
    <section aria-labelledby="verdicts">
      <h2 id="verdicts">
        Ways to pods of other nodes <small>{plural(verdicts.length, 'pod CIDR')}</small>
      </h2>
      <div class="scroll">
        <table class="list">
          <thead>
            <tr>
              <th scope="col">To</th>
              <th scope="col">Way</th>
              <th scope="col">Why</th>
              <th scope="col" class="number">
                MTU
              </th>
            </tr>
          </thead>
          <tbody>
            {some.map(({ podCIDR, node, way, reason, mtuBytes, tunnel, nextHops }) => (
              <tr key={podCIDR}>
                <th scope="row">
                  <a class="name" href={to.pair(name, node)}>
                    {node}
                  </a>
                  <span class="addr">{podCIDR}</span>
                </th>
                <td>
                  <span class={`way-name ${way}`}>{wayWords[way]}</span>
                  <span class="addr">
                    {tunnel && `to ${tunnel.dst}`}
                    {nextHops?.map(({ device, gateway }) => `${gateway} on ${device}`).join(', ')}
                  </span>
                </td>
                <td class="why">{reason}</td>
                <td class="number">{mtuBytes}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more}
    </section>
  )
}

export function Pods({ node, endpoints }: { node: string; endpoints: AgentStatus['endpoints'] }): JSX.Element {
  const [some, more] = useSome(endpoints)
  return (
    <section aria-labelledby="pods">
      <h2 id="pods">
        Pods{' '}
        <small>
          {plural(endpoints.length, 'pod')} with a network of {endpoints.length === 1 ? 'its' : 'their'} own
        </small>
      </h2>
      {endpoints.length > 0 && (
        <div class="scroll">
          <table class="list">
            <thead>
              <tr>
                <th scope="col">Pod</th>
                <th scope="col">Addresses</th>
                <th scope="col" class="wide">
                  Device on {node}
                </th>
                <th scope="col" class="wide">
                  State
                </th>
                <th scope="col">
                  <span class="sr">What to do with it</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {some.map(({ pod, addrs, hostDevice, state }) => (
                <tr key={`${pod} ${hostDevice}`}>
                  <th scope="row">{pod}</th>
                  <td class="mono">{addrs.join(', ')}</td>
                  <td class="mono wide">{hostDevice}</td>
                  <td class="wide">{state}</td>
                  <td>
                    <a href={to.trace(pod)} aria-label={`Follow a packet from ${pod}`}>
                      Follow a packet
                    </a>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more}
    </section>
  )
}

export function Addresses({ ipam: { cidrs, addresses } }: { ipam: IpamReport }): JSX.Element {
  const odd = addresses.filter(({ state }) => state !== 'in use')
  return (
    <section aria-labelledby="addresses">
      <h2 id="addresses">Addresses</h2>
      <ul class="cidrs">
        {cidrs.map(({ cidr, total, used, coolingDown, free }) => (
          <li key={cidr}>
            <code>{cidr}</code>
            <meter
              min={0}
              max={Number(total)}
              high={Number(total) * 0.9}
              value={Number(used) + Number(coolingDown)}
              aria-label={`${used} of ${total} in use`}
            />
            <span class="soft">
              {used} in use{coolingDown !== '0' && `, ${coolingDown} cool down`}, {free.length > 9 ? 'plenty' : free}{' '}
              free
            </span>
          </li>
        ))}
      </ul>
      {odd.length > 0 && (
        <ul class="object-list">
          {odd.slice(0, shown).map(({ addr, state, pod, why }) => (
            <li key={addr}>
              <code>{addr}</code> {state}, {pod} {why !== undefined && <span class="soft">{why}</span>}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

export function Programs({ programs: { hooks, drops, pods } }: { programs: ProgramsReport }): JSX.Element {
  const carried = pods.reduce(
    (sum, { sent }) => sum + sent.local.packets + sent.native.packets + sent.tunnel.packets,
    0,
  )
  const stack = pods.reduce((sum, { sent }) => sum + sent.stack.packets, 0)
  const missing = hooks.filter(({ program }) => program === undefined).length
  return (
    <section aria-labelledby="programs">
      <h2 id="programs">
        eBPF programs{' '}
        <small>
          {plural(hooks.length, 'hook')}
          {missing > 0 && `, ${missing} without a program`}
        </small>
      </h2>
      <p class="soft">
        Of packets that pods sent, programs carried {carried.toLocaleString('en')}, and the node's own network stack{' '}
        {stack.toLocaleString('en')}.
      </p>
      {drops.length > 0 && (
        <ul class="object-list">
          {drops.slice(0, shown).map(({ pod, device, text, packets, remedy, reason }) => (
            <li key={`${device} ${reason}`}>
              <b>{plural(packets, 'packet')} dropped</b> {pod ?? device}: {text}. <span class="soft">{remedy}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
