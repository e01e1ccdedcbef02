import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EbpfState } from '#/datapath/programs.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { problemOfObject } from '#/reconcile/object-problem.ts'
import { takenWith } from '#/model/object-kinds.ts'
import { allDrivers } from './drivers.ts'

function kindsOfDrivers() {
  const pods = { isInUse: () => false, rewire: () => {} }
  const ebpf = new EbpfState({ folder: '/nowhere' })
  return allDrivers({} as Netlink, {} as NftClient, pods, ebpf).map(({ kind }) => kind)
}

test('an object of any kind that cannot be made is a problem with a code of its own', () => {
  const kinds = kindsOfDrivers()
  const problems = kinds.map((kind) =>
    problemOfObject({ kind, key: 'a/b', state: 'error', message: 'EPERM', sinceMs: 0, attempts: 1 }),
  )
  assert.equal(new Set(problems.map((each) => each?.code)).size, kinds.length)
  for (const [index, each] of problems.entries()) {
    assert.equal(each?.object, `${kinds[index]}/a/b`)
    assert.equal(each.message, 'EPERM')
  }
  const status = { kind: 'link', key: 'cw-br0', sinceMs: 0, attempts: 0 } as const
  assert.equal(problemOfObject({ ...status, state: 'done' }), undefined)
  assert.equal(problemOfObject({ ...status, state: 'error', remedy: 'rename it' })?.remedy, 'rename it')
})

test('kinds that hang on another kind come after it, so that one pass makes them anew', () => {
  const kinds = kindsOfDrivers()
  for (const [index, kind] of kinds.entries())
    for (const taken of takenWith(kind)) assert.ok(kinds.indexOf(taken) > index, `${taken} hangs on ${kind}`)
})
