// Random chains of real nodes with a random fault each: the verdict names the place where the kernel has lost the packet, and no other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Direction } from '#/trace/types.ts'
import { judgeTrace } from '#/trace/verdict.ts'
import { addrs, Chain, type ChainShape, pods } from './trace-chain.ts'

type Fault = { readonly make: string; readonly mend: string; readonly isAhead?: boolean }

const flush = 'nft flush ruleset'
const chainOf = (hook: string, rule: string, family = 'inet'): string =>
  `nft 'add table ${family} t; add chain ${family} t c { type filter hook ${hook} priority 0; }; add rule ${family} t c ${rule}'`

/** What loses packets to `dst` on a host, into which they come by `into`. `isAhead`: the next namespace drops them. */
const faultsOf = (dst: string, into: string, via: string | undefined, out: string): readonly Fault[] => [
  { make: chainOf('forward', `ip daddr ${dst} drop`), mend: flush },
  { make: chainOf('prerouting', `ip daddr ${dst} drop`), mend: flush },
  { make: chainOf('postrouting', `ip daddr ${dst} drop`), mend: flush },
  { make: chainOf(`ingress device ${into}`, `ip daddr ${dst} drop`, 'netdev'), mend: flush },
  { make: `ip route add blackhole ${dst}`, mend: `ip route del blackhole ${dst}` },
  {
    make: `ip neigh replace ${via ?? dst} lladdr 02:00:00:00:99:99 dev ${out} nud permanent`,
    mend: `ip neigh del ${via ?? dst} dev ${out}; ping -q -c 1 -W 2 ${via ?? dst} >/dev/null`,
    isAhead: true,
  },
]

type Plan = { readonly direction: Direction; readonly host: number; readonly kind: number }

const plans = fc.record({
  direction: fc.constantFrom<Direction>('there', 'back'),
  host: fc.nat({ max: 3 }),
  kind: fc.nat({ max: 5 }),
})

function faultAt({ hosts }: Chain, { direction, host, kind }: Plan): Fault {
  const isThere = direction === 'there'
  const [into, out] = isThere ? ['left0', 'right0'] : ['right0', 'left0']
  const isLast = host === (isThere ? hosts.length - 1 : 0)
  const via = isLast ? undefined : `192.0.2.${isThere ? 4 * host + 2 : 4 * (host - 1) + 1}`
  return faultsOf(isThere ? addrs.b : addrs.a, into, via, out)[kind]!
}

async function check(chain: Chain, plan: Plan): Promise<void> {
  const { direction } = plan
  const { make, mend, isAhead = false } = faultAt(chain, plan)
  const host = chain.hosts[plan.host]!
  host.sh(make)
  const facts = await chain.trace()
  host.sh(mend)
  const { verdict } = judgeTrace(facts)
  const step = direction === 'there' ? 1 : -1
  // who loses it: a host by its number, or the pod at the end
  const loser = isAhead ? plan.host + step : plan.host
  const isInPod = loser < 0 || loser >= chain.hosts.length
  const what = `${JSON.stringify({ ...chain.shape, ...plan })}: ${make}: ${verdict.outcome}: ${verdict.text}`
  const end = direction === 'there' ? pods.b : pods.a
  // a frame for another MAC has not come to the pod that drops it
  assert.equal(verdict.outcome, direction === 'there' ? 'lost' : 'answer-lost', what)
  if (!isInPod && !chain.isWatched(loser)) {
    // nobody saw it: the place is between the watched ones beside it
    assert.equal(verdict.drop, undefined, what)
    assert.equal(verdict.last?.node, chain.nodeName(loser - step), what)
    assert.equal(verdict.next?.node, chain.nodeName(loser + step), what)
    return
  }
  assert.equal(verdict.drop?.node, chain.nodeName(Math.min(Math.max(loser, 0), chain.hosts.length - 1)), what)
  assert.equal(verdict.drop?.pod, isInPod ? end : undefined, what)
}

const clocks = fc.array(fc.integer({ min: -5_000, max: 5_000 }), { minLength: 4, maxLength: 4 })

for (const shape of [{ length: 2 }, { length: 3, router: 1 }, { length: 4 }])
  test(`a chain of ${shape.length} nodes${'router' in shape ? ', of which nobody watches the one between' : ''}`, async () => {
    const clocksMs = fc.sample(clocks, 1)[0]!
    await using chain = new Chain({ ...shape, clocksMs } satisfies ChainShape)
    await chain.watch()
    const healthy = judgeTrace(await chain.trace()).verdict
    assert.equal(healthy.outcome, 'answered', healthy.text)
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => check(chain, { ...plan, host: plan.host % shape.length })),
      { numRuns: 14, endOnFailure: true },
    )
    assert.equal(judgeTrace(await chain.trace()).verdict.outcome, 'answered', 'all is mended')
  })
