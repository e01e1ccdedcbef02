// Faults that are told only after a minute and more: each in a lab of its own, all at the same time.
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { TestLab } from '../e2e/harness.ts'
import { slowFaults } from './kinds.ts'
import { play } from './play.ts'

/** A round of the agents that ask each other, and some more. */
const heardMs = 20_000

const labs = [
  ...slowFaults.map((name) => [name, 'vxlan'] as const),
  // without a tunnel nothing is counted, and nodes are asked in turn
  ['leftover-program', 'native'] as const,
]

await describe('faults that are told after a while', { concurrency: labs.length }, () => {
  for (const [name, routing] of labs)
    test(`${name}, ${routing}`, async () => {
      using lab = new TestLab()
      const report = lab.up('--nodes', '2', '--pods', '1', '--routing', routing)
      // only a node that has answered once can be told not to answer any more
      if (routing === 'native') await sleep(heardMs)
      await play(lab, report, name)
    })
})
