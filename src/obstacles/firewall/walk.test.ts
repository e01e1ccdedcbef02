import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { type Step } from './nft-rule.ts'
import { type Level } from './packet.ts'
import { type Outcome, walk } from './walk.ts'

const asRule = (text: string): ForeignRule => ({ handle: 0n, comment: text, expressions: [], does: text })

/** Rules as "LEVEL VERDICT [CHAIN]", chains by name. */
async function outcomeOf(chains: Record<string, readonly string[]>, dropsByPolicy = false): Promise<Outcome> {
  return walk({
    chain: 'base',
    dropsByPolicy,
    rulesOf: async (chain) => chains[chain]?.map(asRule),
    stepOf: ({ does }): Step => {
      const [level, kind, chain] = does.split(' ') as [Level, Step['verdict']['kind'], string?]
      const verdict = (chain === undefined ? { kind } : { kind, chain }) as Step['verdict']
      return { level, verdict }
    },
  })
}

async function told(chains: Record<string, readonly string[]>, dropsByPolicy = false): Promise<string> {
  const outcome = await outcomeOf(chains, dropsByPolicy)
  return outcome.kind === 'dropped' ? `dropped ${outcome.chain} ${outcome.number ?? 'policy'}` : outcome.kind
}

test('what is dropped for sure is told, by the rule or the policy', async () => {
  assert.equal(await told({ base: [] }), 'accepted')
  assert.equal(await told({ base: [] }, true), 'dropped base policy')
  assert.equal(await told({ base: ['none drop', 'some drop', 'all continue', 'all drop'] }), 'dropped base 4')
  assert.equal(await told({ base: ['all accept', 'all drop'] }), 'accepted')
  assert.equal(await told({ base: ['some accept'] }, true), 'dropped base policy')
})

test('a rule that cannot be judged is no fault, and may have let them pass', async () => {
  assert.equal(await told({ base: ['maybe drop'] }), 'accepted')
  assert.equal(await told({ base: ['maybe accept', 'all drop'] }), 'unknown')
  assert.equal(await told({ base: ['maybe other'] }, true), 'unknown')
  assert.equal(await told({ base: ['all jump missing', 'all drop'] }), 'unknown')
})

test('jumps come back, gotos do not', async () => {
  assert.equal(await told({ base: ['all jump a', 'all drop'], a: ['none accept'] }), 'dropped base 2')
  assert.equal(await told({ base: ['all jump a', 'all drop'], a: ['all return', 'all accept'] }), 'dropped base 2')
  assert.equal(await told({ base: ['all jump a'], a: ['none accept', 'all drop'] }), 'dropped a 2')
  assert.equal(await told({ base: ['all goto a', 'all drop'], a: [] }), 'accepted')
  assert.equal(await told({ base: ['all goto a', 'all accept'], a: [] }, true), 'dropped base policy')
  // whoever may have left a chain is not dropped by the rest of it for sure, but behind the jump again
  assert.equal(await told({ base: ['all jump a', 'all accept'], a: ['maybe return', 'all drop'] }), 'accepted')
  assert.equal(await told({ base: ['all jump a', 'all drop'], a: ['maybe return', 'all continue'] }), 'dropped base 2')
  // a jump that only some packets take is not followed
  assert.equal(await told({ base: ['some jump a', 'all accept'], a: ['all drop'] }), 'accepted')
  assert.equal(await told({ base: ['maybe jump a', 'all accept'], a: ['all drop'] }), 'accepted')
  assert.equal(await told({ base: ['maybe jump a', 'all drop'], a: ['all accept'] }), 'unknown')
})

test('a ruleset that leads round and round ends', async () => {
  assert.equal(await told({ base: ['all jump base'] }), 'unknown')
})
