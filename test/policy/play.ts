// Plays scenarios on a node, step by step: what arrives in every cell is compared with the evaluator, and what the evaluator says with what a
// person expects.
import assert from 'node:assert/strict'
import { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { cellsOf, cellText, isNamed, passes } from './cells.ts'
import { wrongCells } from './compare.ts'
import { type Scenario, type Step } from './model.ts'
import { type Probe, Prober } from './prober.ts'
import { type TruthNode } from './truth-node.ts'

/** Each scenario is a test of its own; at the end what is in the kernel is what the changes should have left there. */
export async function playAll(t: TestContext, truth: TruthNode, scenarios: readonly Scenario[]): Promise<void> {
  using prober = new Prober().at(truth.places)
  // neighbours have to be known before packets are counted
  await prober.run(cellsOf(truth.places))
  await sleep(100)
  for (const scenario of scenarios) await t.test(scenario.name, () => play(truth, prober, scenario))
  truth.reset()
  assert.deepEqual(await truth.subject.differences(), [])
}

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
