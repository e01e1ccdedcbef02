// Faults that are told only after a minute and more: the labs are there at the same time.
import { describe, test } from 'node:test'
import { TestLab } from '../e2e/harness.ts'
import { slowFaults } from './kinds.ts'
import { play, possibleIn } from './play.ts'

const shapes: readonly (readonly [what: string, ...options: string[]])[] = [
  ['the bridge and the tunnel, both families'],
  ['eBPF and the tunnel, both families', '--datapath', 'ebpf'],
  ['without a tunnel, a mesh of BGP', '--routing', 'native'],
]

await describe('faults that are told after a while', { concurrency: shapes.length }, () => {
  for (const [what, ...options] of shapes)
    test(what, async (t) => {
      using lab = new TestLab()
      const report = lab.up('--nodes', '2', '--pods', '2', ...options)
      for (const name of possibleIn(lab, slowFaults))
        await t.test(name, async (each) => each.diagnostic(await play(lab, report, name)))
    })
})
