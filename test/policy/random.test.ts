// Random policies: evaluator, rules and programs agree on every cell.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { datapathNames } from '#/model/datapath.ts'
import { cellsOf } from './cells.ts'
import { wrongCells } from './compare.ts'
import { Prober } from './prober.ts'
import { randomSteps } from './random-policies.ts'
import { TruthNode } from './truth-node.ts'

const runs = Number(process.env['POLICY_RUNS'] ?? 25)

for (const datapath of datapathNames)
  test(`random policies, pods with the datapath ${datapath}`, async () => {
    await using truth = await TruthNode.create(datapath)
    using prober = new Prober().at(truth.places)
    const cells = cellsOf(truth.places)
    // neighbours have to be known before packets are counted
    await prober.run(cells)
    await fc.assert(
      fc.asyncProperty(randomSteps, async (steps) => {
        truth.reset()
        for (const [index, changes] of steps.entries()) {
          truth.change(changes)
          assert.deepEqual(await wrongCells(truth.view, prober, cells), [], `step ${index + 1}`)
        }
        assert.deepEqual(await truth.subject.differences(), [])
      }),
      {
        numRuns: runs,
        endOnFailure: false,
        ...(process.env['POLICY_SEED'] !== undefined && { seed: Number(process.env['POLICY_SEED']) }),
      },
    )
  })
