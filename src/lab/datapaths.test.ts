import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datapathAnnotation, datapathStateAnnotation } from '#/model/datapath.ts'
import { otherDatapaths } from './datapaths.ts'
import { rackedLab } from './routers/testing.ts'

test('a node has another datapath until it tells the one that its own annotation or the lab demands', () => {
  const node = (name: string, told?: string, own?: string) => ({
    metadata: {
      name,
      annotations: {
        ...(told !== undefined && { [datapathStateAnnotation]: told }),
        ...(own !== undefined && { [datapathAnnotation]: own }),
      },
    },
  })
  const nodes = [
    node('a'),
    node('b', '{"name":"ebpf"}'),
    node('c', '{"name":"bridge","why":"so"}'),
    node('d', '{"name":"ebpf"}', 'bridge'),
    node('e', undefined, 'bridge'),
  ]
  assert.deepEqual(otherDatapaths(rackedLab({ datapath: 'mixed' }, {}), nodes), [
    { name: 'a', state: { name: 'bridge' } },
    { name: 'c', state: { name: 'bridge', why: 'so' } },
    { name: 'd', state: { name: 'ebpf' } },
  ])
  assert.deepEqual(
    otherDatapaths(rackedLab({ datapath: 'bridge' }, {}), nodes).map(({ name }) => name),
    ['b', 'd'],
  )
})
