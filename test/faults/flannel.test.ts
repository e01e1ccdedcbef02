// Faults of nodes with flannel: no agent tells them, and nobody probes. Doctor and trace find them by what kernels have and by packets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faults } from '#/lab/faults/catalogue.ts'
import { codesOfDoctor } from '#/lab/faults/fault.ts'
import { causeway, eventually, must, TestLab } from '../e2e/harness.ts'
import { assertFindings, doctorOf, findingsText } from './diagnosis.ts'
import { possibleIn, specOf } from './play.ts'

const node = 'node-1'

function assertHealthy(lab: string): void {
  const told = doctorOf(lab)
  assert.deepEqual(told.findings, [], findingsText(told))
}

for (const network of ['flannel-vxlan', 'flannel-host-gw'])
  test(`doctor finds every fault of nodes with ${network}, and nothing where there is none`, async (t) => {
    using lab = new TestLab()
    lab.up('--nodes', '2', '--pods', '2', '--network', network)
    for (const name of possibleIn(lab))
      await t.test(name, async (each) => {
        const codes = codesOfDoctor(
          faults.find((fault) => fault.name === name)!,
          specOf(lab),
        )
        assertHealthy(lab.name)
        must(causeway, 'lab', 'break', name, '--name', lab.name)
        try {
          await eventually(`doctor finds ${codes.join(' and ')} for ${name}`, () => {
            assertFindings(doctorOf(lab.name), { codes, node, stale: new Set() })
            return true
          })
        } finally {
          must(causeway, 'lab', 'mend', name, '--name', lab.name)
        }
        await eventually(`nothing is left of ${name}`, () => {
          assertHealthy(lab.name)
          return true
        })
        each.diagnostic(`doctor ${codes.join(' ')}`)
      })
  })
