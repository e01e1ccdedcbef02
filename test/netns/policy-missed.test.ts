// Changes that the policy tables have missed, since nothing was written meanwhile, or there was no bridge: they are made up for, and no pod is
// without its rules once they are said to be in the kernel.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { BusyRulesetError, NftClient } from '#/kernel/nftables.ts'
import { changeOf, tcp } from '#/plan/policy/testing/form.ts'
import { bridgeMac, TableNode } from './policy/table-node.ts'

/** Pods of class c1 may be reached at port 80, and nowhere else. */
function policed(): TableNode {
  const node = new TableNode()
  node.form.policy('p1', 'NetworkPolicy', 'ingress', { ports: tcp(80) }).class('c1', 'ingress', ['p1'])
  return node
}

/** Somebody writes another table in every turn of the event loop, while `work` is done. */
async function whileOthersWrite<T>(node: TableNode, work: Promise<T>): Promise<T> {
  using client = new NftClient(node.host.netns)
  const done = new AbortController()
  const write = async (): Promise<void> => {
    while (!done.signal.aborted) {
      client.replaceTable({ family: 'inet', name: 'others', sets: [], chains: [] })
      await setImmediate()
    }
  }
  const writing = write()
  try {
    return await work
  } finally {
    done.abort()
    await writing
  }
}

test('a comparison that others overtake is no comparison, when changes were missed', { timeout: 30_000 }, async () => {
  using node = policed()
  const b = node.add(3)
  const a = node.add(2, { ingress: 'c1' })
  await node.settle()
  const { addrs } = node.form.locals.get(a.device)!
  // the pod goes, and another one gets its address and class, while the kernel refuses changes
  node.tables.dropLocal(a.device, addrs)
  node.tables.noteMissed()
  await assert.rejects(whileOthersWrite(node, node.tables.compare(node.form, node.facts)), BusyRulesetError)
  node.apply()
  assert.equal(await node.arrives({ family: 4, from: b, to: a, port: 81 }), false)
  assert.deepEqual(await node.settle(), [])
})

test('pods that come while there is no bridge are in its table when it is there again', async () => {
  using node = policed()
  const b = node.add(3)
  await node.settle()
  node.mac = undefined
  const a = node.add(2, { ingress: 'c1' })
  node.apply({ locals: node.form.locals })
  node.mac = bridgeMac
  node.tables.apply(node.form, changeOf({}), { ...node.facts, changedPorts: new Set() })
  assert.deepEqual(await node.tables.differences(node.form, node.facts), [])
  assert.equal(await node.arrives({ family: 4, from: a, to: b }), true)
  assert.equal(await node.arrives({ family: 4, from: b, to: a, port: 81 }), false)
})
