// Random worlds in which somebody else answers in the receiver's name: a firewall that resets connections, or a namespace that has the address. What
// the receiver never had it has not answered.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Place, resetBytes, sightingAt } from './testing/scene.ts'
import { anyWorld, Flow } from './testing/world.ts'
import { type Sighting } from './types.ts'
import { judgeTrace, type TraceFacts } from './verdict.ts'

type Forger = 'firewall' | 'namesake'

/** Where the answer of that node's own stack is seen on its way to the sender. */
function answerFrom(flow: Flow, node: string): readonly Place[] {
  const { back } = flow.ways
  const isOut = ({ place, pod }: Place): boolean => pod === undefined && place !== 'receive'
  const first = back.findIndex((each) => each.node === node && isOut(each))
  return first < 0 ? [] : back.slice(first)
}

/** The facts of the same world, in which the packet is answered where it ends. */
function forged(flow: Flow, forger: Forger): TraceFacts | undefined {
  const { facts, from, ways } = flow
  const at = ways.there[flow.passed('there') - 1]
  // the sender itself, and the stack of a pod, answer nobody else's packets
  if (at === undefined || at.pod !== undefined || (from.pod === undefined && at.node === from.node)) return undefined
  // a namesake at the receiver's own node is the receiver, where that is the node
  if (forger === 'namesake' && flow.to.pod === undefined && at.node === flow.to.node) return undefined
  const answer = answerFrom(flow, at.node)
  const last = facts.sightings.filter(({ node }) => node === at.node).map(({ timeMs }) => timeMs)
  const startMs = Math.max(0, ...last)
  const end = forger === 'firewall' ? 'drop' : 'read'
  const drop = forger === 'firewall' ? { drop: { reason: 'NETFILTER_DROP', function: 'nft_do_chain' } } : {}
  const taken = sightingAt({ ...at, place: end }, 0, 'there', { timeMs: startMs + 1, skb: `there ${at.node}`, ...drop })
  const bytes = forger === 'firewall' ? { bytes: resetBytes() } : {}
  const seen = answer.map((place, index): Sighting =>
    sightingAt(place, 0, 'back', { timeMs: 2_000_000 + index, ...bytes }),
  )
  const told = [taken, ...seen].filter(({ node }) => !flow.isBlind(node))
  const probe = facts.sightings.filter(({ role, place }) => role === 'probe' && place !== 'drop')
  return { ...facts, protocol: 'tcp', port: 80, sightings: [...probe, ...told] }
}

const anyForgery = fc.record({
  world: anyWorld,
  part: fc.double({ min: 0, max: 1, noNaN: true }),
  forger: fc.constantFrom<Forger>('firewall', 'namesake'),
})

test('what somebody answers in the name of the receiver is no answer of the receiver', () => {
  let count = 0
  fc.assert(
    fc.property(anyForgery, ({ world, part, forger }) => {
      const fate = { direction: 'there', part, kind: 'silent', isPredicted: false, isCut: false } as const
      const flow = new Flow({ ...world, fate })
      const facts = forged(flow, forger)
      fc.pre(facts !== undefined)
      const { verdict } = judgeTrace(facts)
      if (facts.blind.some(({ node }) => node === flow.to.node)) return
      count++
      assert.ok(!['answered', 'closed', 'taken'].includes(verdict.outcome), `${verdict.outcome}: ${verdict.text}`)
      if (facts.blind.length > 0) return
      if (forger === 'firewall') assert.match(verdict.text, /^a firewall refuses the probe in the name of/)
      else assert.match(verdict.text, /^the probe never came to .* takes it for its own, and answers/)
    }),
    { numRuns: 1_500 },
  )
  assert.ok(count > 100, String(count))
})
