// Random worlds: whatever becomes of a packet, and whatever of it is seen, no hop that it passed is blamed, and the place that is blamed is the one
// where the model has lost it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyWorld, Flow, lie, truth } from './testing/world.ts'
import { judgeTrace, type Outcome } from './verdict.ts'
import { type Sighting } from './types.ts'
import { type Hop } from './way.ts'

const name = (hop: Pick<Hop, 'node' | 'device' | 'place' | 'pod'> | undefined): string | undefined =>
  hop && `${hop.node} ${hop.pod ?? ''} ${hop.device} ${hop.place}`

const hasArrived = (flow: Flow): boolean => flow.passed('there') === flow.ways.there.length

/** Be it a copy. */
const isSeen = (flow: Flow, role: Sighting['role']): boolean => flow.facts.sightings.some((each) => each.role === role)

function outcomeThere(flow: Flow): Outcome {
  const { to, ways, end } = flow
  if (end?.place === 'drop') return hasArrived(flow) && to.pod !== undefined ? 'unanswered' : 'lost'
  const last = flow.lastShown('there')
  if (last < 0) return flow.facts.blind.length > 0 && !isSeen(flow, 'probe') ? 'untold' : 'lost'
  const next = ways.there[last + 1]
  if (next === undefined) return 'unanswered'
  return flow.isBlind(next.node) ? 'untold' : 'lost'
}

function outcomeBack(flow: Flow): Outcome {
  const { from, to, ways, end } = flow
  if (end?.place === 'drop') return 'answer-lost'
  const last = flow.lastShown('back')
  if (last < 0 && isSeen(flow, 'answer')) return 'answer-lost'
  if (last < 0) return flow.isBlind(to.node!) ? 'untold' : 'unanswered'
  const next = ways.back[last + 1]
  if (next === undefined) return flow.isBlind(from.node!) ? 'untold' : 'answered'
  return flow.isBlind(next.node) ? 'untold' : 'answer-lost'
}

/** By the model, as far as it can be known. */
function expectedOutcome(flow: Flow): Outcome {
  return flow.world.fate?.direction === 'there' ? outcomeThere(flow) : outcomeBack(flow)
}

function check(flow: Flow): void {
  const { facts, end, ways, world } = flow
  const { verdict } = judgeTrace(facts)
  assert.equal(verdict.outcome, expectedOutcome(flow), verdict.text)
  assert.notEqual(verdict.code, 'CW0000', verdict.text)
  assert.ok(!verdict.text.includes(lie), verdict.text)
  const direction = verdict.outcome === 'lost' ? 'there' : 'back'
  if (verdict.outcome !== 'lost' && verdict.outcome !== 'answer-lost') return
  const last = flow.lastShown(direction)
  if (end?.place === 'drop') {
    assert.deepEqual(verdict.drop, end, verdict.text)
  } else assert.equal(verdict.drop, undefined, verdict.text)
  const isWayKnown = facts.predictions[direction].length > 0
  if (end?.place === 'transmit' && isWayKnown) assert.match(verdict.text, /went on by tun0/)
  const isTold = facts.predictions[direction].some(({ steps }) => steps.some(({ text }) => text === truth))
  if (isTold) assert.ok(verdict.text.includes(truth), verdict.text)
  const left = ways[direction][last]
  const hasLeft = left?.place === 'transmit' && left.device === 'eth0' && left.pod === undefined
  assert.ok(hasLeft || !/between the nodes/.test(verdict.text), verdict.text)
  // where nothing is known of the way, any place may be of it
  const strayed = end?.place === 'transmit' && !isWayKnown ? { ...end, device: 'tun0', place: end.place } : undefined
  assert.equal(name(verdict.last), name(strayed ?? ways[direction][last]), verdict.text)
  if (isWayKnown && world.fate?.isCut !== true && world.blind?.isDead !== true)
    assert.equal(name(verdict.next), name(ways[direction][last + 1]), verdict.text)
}

test('no hop that a packet has passed is blamed, and the place that is blamed is where it was lost', () => {
  const outcomes = new Map<Outcome, number>()
  fc.assert(
    fc.property(anyWorld, (world) => {
      const flow = new Flow(world)
      check(flow)
      const outcome = expectedOutcome(flow)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }),
    { numRuns: 20_000 },
  )
  // the model has all of them, often
  for (const outcome of ['answered', 'lost', 'unanswered', 'answer-lost', 'untold'] as const)
    assert.ok((outcomes.get(outcome) ?? 0) > 50, `${outcome}: ${outcomes.get(outcome)}`)
})
