import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  datapathAnnotation,
  datapathNames,
  datapathOf,
  datapathStateAnnotation,
  datapathStateOf,
  datapathStateText,
} from './datapath.ts'
import { type KubeNode } from './kubernetes.ts'
import { problemText } from './problems.ts'

function nodeWith(annotations: Record<string, string>): KubeNode {
  return { metadata: { name: 'node-1', annotations } }
}

test('the datapath of a node is one of two, none, or a problem', () => {
  assert.deepEqual(datapathOf(nodeWith({})), {})
  for (const datapath of datapathNames)
    assert.deepEqual(datapathOf(nodeWith({ [datapathAnnotation]: datapath })), { datapath })
  for (const bad of ['', 'eBPF', 'xdp', ' ebpf']) {
    const { datapath, problem } = datapathOf(nodeWith({ [datapathAnnotation]: bad }))
    assert.equal(datapath, undefined)
    assert.match(
      problemText(problem!),
      /annotation causeway\.dev\/datapath: ".*" is none of bridge, ebpf; remedy: correct or remove the annotation/,
    )
  }
})

test('any state is read as it was written', () => {
  for (const state of [{ name: 'ebpf' }, { name: 'bridge', why: 'no "bpffs"' }] as const)
    assert.deepEqual(datapathStateOf(nodeWith({ [datapathStateAnnotation]: datapathStateText(state) })), state)
})

test('a state that cannot be read, or is of a later version, is none', () => {
  for (const text of ['', '{', '[]', '7', 'null', '{"name":"xdp"}', '{"why":"so"}'])
    assert.equal(datapathStateOf(nodeWith({ [datapathStateAnnotation]: text })), undefined, text)
  assert.equal(datapathStateOf(nodeWith({})), undefined)
  const odd = nodeWith({ [datapathStateAnnotation]: '{"name":"ebpf","why":7,"more":true}' })
  assert.deepEqual(datapathStateOf(odd), { name: 'ebpf' })
})
