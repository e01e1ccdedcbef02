import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../args.ts'
import { type AgentChoice, fixedChoice, type Source, sourceOf, type Surroundings } from './source.ts'

const bare: Surroundings = { kubeconfig: '', labs: [], hasAgentSocket: false, homeKubeconfig: undefined, isPod: false }
const lab = { name: 'lab', kubeconfig: '/run/causeway-lab/lab/kubeconfig' }
const other = { name: 'b', kubeconfig: '/run/causeway-lab/b/kubeconfig' }
const all: Surroundings = {
  kubeconfig: '/k',
  labs: [lab, other],
  hasAgentSocket: true,
  homeKubeconfig: '/home/.kube/config',
  isPod: true,
}
const cluster = (kubeconfig: string | undefined): Source => ({ kind: 'cluster', kubeconfig })

test('what was said counts before what is there, in this order', () => {
  const cases: [AgentChoice, Partial<Surroundings>, Source][] = [
    [{ lab: 'b' }, all, { kind: 'lab', name: 'b' }],
    [{ kubeconfig: '/f' }, all, cluster('/f')],
    [{ kubeconfig: '/f', context: 'c' }, all, cluster('/f')],
    [{ context: 'c' }, all, cluster('/k')],
    [{ context: 'c' }, { homeKubeconfig: '/h' }, cluster('/h')],
    [{}, all, cluster('/k')],
    [{}, { ...all, kubeconfig: lab.kubeconfig }, { kind: 'lab', name: 'lab' }],
    [{}, { ...all, kubeconfig: '', labs: [lab] }, { kind: 'lab', name: 'lab' }],
    [{}, { ...all, kubeconfig: '', labs: [] }, { kind: 'node' }],
    [{}, { homeKubeconfig: '/h', isPod: true }, cluster('/h')],
    [{}, { isPod: true }, cluster(undefined)],
    [{}, {}, { kind: 'node' }],
  ]
  for (const [choice, around, source] of cases) assert.deepEqual(sourceOf(choice, { ...bare, ...around }), source)
})

test('what was decided once leads to the same place whatever comes later', () => {
  const cases: [AgentChoice, Partial<Surroundings>, AgentChoice][] = [
    [{ node: 'n' }, { labs: [lab] }, { lab: 'lab', node: 'n' }],
    [{ lab: 'b' }, all, { lab: 'b', node: undefined }],
    [{}, { ...all, kubeconfig: lab.kubeconfig }, { lab: 'lab', node: undefined }],
    [{}, { kubeconfig: '/k' }, { kubeconfig: '/k', context: 'now' }],
    [{ context: 'c' }, { homeKubeconfig: '/h' }, { kubeconfig: '/h', context: 'c' }],
    [{ node: 'n' }, { isPod: true }, { node: 'n' }],
  ]
  for (const [choice, around, fixed] of cases) {
    const source = sourceOf(choice, { ...bare, ...around })
    assert.deepEqual(fixedChoice(source, choice, 'now'), fixed)
    assert.deepEqual(sourceOf(fixed, { ...bare, ...around }), source)
    if (source.kind === 'lab') assert.deepEqual(sourceOf(fixed, { ...all, labs: [other] }), source)
  }
})

test('what cannot be decided is wrong use', () => {
  const cases: [AgentChoice, Partial<Surroundings>, RegExp][] = [
    [{}, { labs: [lab, other] }, /^several labs are up \(lab, b\): say which, with --lab$/],
    [{ lab: 'b', kubeconfig: '/f' }, all, /^--lab and --kubeconfig: one of them/],
    [{ lab: 'b', context: 'c' }, all, /^--lab and --context: one of them/],
    [{ context: 'c' }, {}, /^--context c: there is no kubeconfig/],
  ]
  for (const [choice, around, words] of cases)
    assert.throws(
      () => sourceOf(choice, { ...bare, ...around }),
      (error) => error instanceof UsageError && words.test(error.message),
    )
})
