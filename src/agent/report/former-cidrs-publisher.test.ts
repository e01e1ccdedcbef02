import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { annotationsOf, formerPodCIDRsAnnotation, type KubeNode } from '#/model/kubernetes.ts'
import { formerCIDRsPublisher } from './former-cidrs-publisher.ts'

test('former pod CIDRs are told while pods have addresses of them, and the annotation goes with the last; nothing is told too early', async () => {
  let node: KubeNode = { metadata: { name: 'node-1' } }
  let former: readonly Prefix[] | undefined
  const written: string[] = []
  const clock = new ManualClock()
  const client = {
    patch: async <T>(path: string, body: unknown): Promise<T> => {
      const { annotations } = (body as { metadata: { annotations: Record<string, string | null> } }).metadata
      written.push(`${path} ${annotations[formerPodCIDRsAnnotation]}`)
      const all = Object.entries({ ...annotationsOf(node), ...annotations }).filter(([, value]) => value !== null)
      node = { metadata: { name: 'node-1', annotations: Object.fromEntries(all) } }
      return node as T
    },
  }
  await using publisher = formerCIDRsPublisher({
    client,
    node: () => node,
    formerCIDRs: () => former,
    log: silent,
    clock,
    random: () => 0,
  })
  const notice = async (value: readonly string[] | undefined): Promise<string[]> => {
    former = value?.map(Prefix.parse)
    publisher.notice()
    for (let turn = 0; turn < 5; turn++) await clock.advance(2000)
    return written.splice(0)
  }
  const path = '/api/v1/nodes/node-1/status'
  assert.deepEqual(await notice([]), [])
  assert.deepEqual(await notice(['10.244.1.0/24', 'fd10::/64']), [`${path} 10.244.1.0/24,fd10::/64`])
  assert.deepEqual(await notice(undefined), [])
  assert.deepEqual(await notice(['10.244.1.0/24']), [`${path} 10.244.1.0/24`])
  assert.deepEqual(await notice([]), [`${path} null`])
})
