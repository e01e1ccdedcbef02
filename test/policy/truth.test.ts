// The truth table of network policy: each scenario, step by step, with real packets in both families and both datapaths. What arrives is
// compared with the evaluator in every cell, and in the cells that decide with what a person expects.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DatapathName, datapathNames } from '#/model/datapath.ts'
import { cellsOf, cellText, isNamed, passes } from './cells.ts'
import { wrongCells } from './compare.ts'
import { type Scenario, type Step } from './model.ts'
import { type Probe, Prober } from './prober.ts'
import { scenarios } from './scenarios/index.ts'
import { TruthNode } from './truth-node.ts'

function unexpected(truth: TruthNode, cells: readonly Probe[], expect: Step['expect']): string[] {
  return Object.entries(expect).flatMap(([text, wanted]) => {
    const named = cells.filter((cell) => isNamed(text, cell))
    assert.ok(named.length > 0, `no such cell: ${text}`)
    return named
      .filter((cell) => passes(truth.view, cell) !== wanted)
      .map((cell) => `the evaluator ${wanted ? 'denies' : 'allows'} ${cellText(cell)}`)
  })
}

async function play(truth: TruthNode, prober: Prober, { steps }: Scenario): Promise<void> {
  truth.reset()
  for (const [index, { changes, expect }] of steps.entries()) {
    truth.change(changes)
    const cells = cellsOf(truth.places)
    prober.at(truth.places)
    const faults = [...unexpected(truth, cells, expect), ...(await wrongCells(truth.view, prober, cells))]
    assert.deepEqual(faults, [], `step ${index + 1}`)
  }
}

for (const datapath of datapathNames satisfies readonly DatapathName[])
  test(`the truth table of network policy, pods with the datapath ${datapath}`, async (t) => {
    await using truth = await TruthNode.create(datapath)
    using prober = new Prober().at(truth.places)
    // neighbours have to be known before packets are counted
    await prober.run(cellsOf(truth.places))
    await sleep(100)
    for (const scenario of scenarios) await t.test(scenario.name, () => play(truth, prober, scenario))
    truth.reset()
    assert.deepEqual(await truth.subject.differences(), [])
  })
