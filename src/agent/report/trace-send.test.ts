import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/policy/evaluate.ts'
import { sceneCluster } from './testing/policy-scene.ts'
import { TraceSend, type TracedPod } from './trace-send.ts'

/** The agent of node-1. */
async function endsTold(
  endpoints: readonly Pick<TracedPod, 'pod' | 'addrs'>[],
  from: string,
  to: string,
  isCutOff = true,
) {
  using traces = new TraceSend({
    nodeName: 'node-1',
    view: viewOf(sceneCluster()),
    unknown: () => undefined,
    isCutOff: () => isCutOff,
    cidrs: () => [],
    endpoints: () => endpoints as TracedPod[],
    netnsOf: () => undefined,
  })
  const { status, body } = await traces.handlers.traceEnds!({ from, to })
  return { status, body }
}

const addrs = (...texts: string[]): TracedPod['addrs'] =>
  texts.map((text) => ({ addr: Addr.parse(text) })) as unknown as TracedPod['addrs']

test('pods of the own node are known as they were added, though the API tells nothing of them, or what was before', async () => {
  const from = async (pod: string, addr: string) => {
    const { status, body } = await endsTold([{ pod, addrs: addrs(addr) }], pod, 'db/pg-0')
    return status === 200 && typeof body === 'object' ? body.pairs[0]!.from : body
  }
  assert.deepEqual(await from('shop/new', '10.244.1.77'), { addr: '10.244.1.77', pod: 'shop/new', node: 'node-1' })
  assert.deepEqual(await from('shop/web-1', '10.244.1.78'), { addr: '10.244.1.78', pod: 'shop/web-1', node: 'node-1' })
  // what is left of a pod that is on another node now says nothing of that one
  assert.match(JSON.stringify(await from('db/pg-0', '10.244.1.79')), /10\.244\.2\.7/)
  assert.equal((await endsTold([], 'shop/new', 'db/pg-0')).status, 404)
  // a pod that the API does not have any more, while it tells everything, is one that somebody forgot to delete
  const forgotten = [{ pod: 'shop/old', addrs: addrs('10.244.1.80') }]
  assert.equal((await endsTold(forgotten, 'shop/old', 'db/pg-0', false)).status, 404)
})
