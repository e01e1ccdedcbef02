// The truth table of network policy: each scenario, step by step, with real packets in both families and both datapaths. What arrives is
// compared with the evaluator in every cell, and in the cells that decide with what a person expects.
import { test } from 'node:test'
import { type DatapathName, datapathNames } from '#/model/datapath.ts'
import { playAll } from './play.ts'
import { scenarios } from './scenarios/index.ts'
import { TruthNode } from './truth-node.ts'

for (const datapath of datapathNames satisfies readonly DatapathName[])
  test(`the truth table of network policy, pods with the datapath ${datapath}`, async (t) => {
    await using truth = await TruthNode.create(datapath)
    await playAll(t, truth, scenarios)
  })
