// Faults that are told only after a minute and more: each in a lab of its own, all at the same time.
import { describe, test } from 'node:test'
import { TestLab } from '../e2e/harness.ts'
import { slowFaults } from './kinds.ts'
import { play } from './play.ts'

await describe('faults that are told after a while', { concurrency: slowFaults.length }, () => {
  for (const name of slowFaults)
    test(name, async (t) => {
      using lab = new TestLab()
      t.diagnostic(await play(lab, lab.up('--nodes', '2', '--pods', '2'), name))
    })
})
