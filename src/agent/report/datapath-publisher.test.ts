import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { type DatapathState, datapathStateAnnotation } from '#/model/datapath.ts'
import { annotationsOf, type KubeNode } from '#/model/kubernetes.ts'
import { datapathPublisher } from './datapath-publisher.ts'

/** What is written to a Node object when its datapath is one of these, one after the other. */
async function written(annotations: Record<string, string>, states: readonly (DatapathState | undefined)[]) {
  const texts: string[] = []
  const clock = new ManualClock()
  let node: KubeNode = { metadata: { name: 'node-1', annotations } }
  let state: DatapathState | undefined
  const client = {
    patch: async <T>(path: string, body: unknown): Promise<T> => {
      const { metadata } = body as { metadata: { annotations: Record<string, string> } }
      texts.push(`${path} ${metadata.annotations[datapathStateAnnotation]}`)
      node = { metadata: { ...node.metadata, annotations: { ...annotationsOf(node), ...metadata.annotations } } }
      return node as T
    },
  }
  const deps = { client, node: () => node, state: () => state, log: silent, clock, random: () => 0 }
  await using publisher = datapathPublisher(deps)
  for (state of states) {
    publisher.notice()
    await clock.advance(10_000)
  }
  return texts
}

const at = '/api/v1/nodes/node-1/status'

test('the bridge is told only where the annotation says something else, or where it is not what is wanted', async () => {
  const bridge: DatapathState = { name: 'bridge' }
  const ebpf: DatapathState = { name: 'ebpf' }
  assert.deepEqual(await written({}, [undefined, bridge, ebpf, ebpf, bridge]), [
    `${at} {"name":"ebpf"}`,
    `${at} {"name":"bridge"}`,
  ])
  assert.deepEqual(await written({}, [{ name: 'bridge', why: 'no bpffs' }, bridge]), [
    `${at} {"name":"bridge","why":"no bpffs"}`,
    `${at} {"name":"bridge"}`,
  ])
})

test('while the state is not known the annotation stays as it is; what another program wrote is overwritten', async () => {
  const annotations = { [datapathStateAnnotation]: 'nonsense' }
  assert.deepEqual(await written(annotations, [undefined]), [])
  assert.deepEqual(await written(annotations, [{ name: 'bridge' }]), [`${at} {"name":"bridge"}`])
})
