import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Change } from './driver.ts'
import { Rewrites } from './rewrites.ts'

const change = (key: string, verb: Change['verb'] = 'change'): Change => ({
  verb,
  key,
  commands: [`ip link set dev ${key} mtu 1450`],
  work: { call() {} },
})

test('who changes a setting again and again is told, and met with a pause that grows', () => {
  let nowMs = 0
  const rewrites = new Rewrites(() => nowMs)
  const bridge = change('cw-br0')
  const setsBack = (): boolean => {
    const [admitted] = rewrites.admitted('link', [bridge])
    if (admitted) rewrites.carriedOut('link', admitted)
    return admitted !== undefined
  }
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(rewrites.blockades, [])
    assert.equal(setsBack(), true)
  }
  assert.equal(setsBack(), false)
  const [blockade] = rewrites.blockades
  assert.equal(`${blockade?.problem.code} ${blockade?.problem.object}`, 'CW2009 link/cw-br0')
  assert.match(
    blockade!.problem.message,
    /set back 5 times in a row \(ip link set dev cw-br0 mtu 1450\), .* 10 s after/,
  )
  nowMs += 10_000
  assert.equal(setsBack(), true)
  nowMs += 19_999
  assert.equal(setsBack(), false)
  // others, and objects that are only there or not, are not concerned
  assert.equal(rewrites.admitted('link', [change('cw-vxlan'), change('cw-br0', 'add')]).length, 2)
  const route = change('10.244.2.0/24')
  for (let round = 0; round < 9; round++) rewrites.carriedOut('route', route)
  assert.equal(rewrites.admitted('route', [route]).length, 1)
  nowMs += 15 * 60_000
  assert.deepEqual(rewrites.blockades, [])
})

test('routes that somebody deletes again and again are made again after a short pause, and told as one problem', () => {
  let nowMs = 0
  const rewrites = new Rewrites(() => nowMs)
  const lost = (key: string): Change => ({ ...change(key, 'add'), isRestoration: true })
  const restores = (key: string): boolean => {
    const changes = [lost(key)]
    const [admitted] = rewrites.admitted('route', changes)
    const held = rewrites.heldBack('route', changes)
    assert.equal(held.size, admitted === undefined ? 1 : 0)
    if (admitted) rewrites.carriedOut('route', admitted)
    return admitted !== undefined
  }
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(rewrites.blockades, [])
    assert.ok(restores('10.244.2.0/24'))
  }
  assert.ok(!restores('10.244.2.0/24'))
  // others are not concerned, nor routes that nobody has made yet
  assert.ok(restores('10.244.3.0/24'))
  assert.equal(rewrites.admitted('route', [change('10.244.2.0/24', 'add')]).length, 1)
  for (let round = 0; round < 9; round++) {
    nowMs += 2_000
    assert.ok(restores('10.244.2.0/24'), 'no pause is longer: pods are cut off meanwhile')
  }
  const { blockades } = rewrites
  assert.deepEqual(
    blockades.map(({ problem: { code, object } }) => `${code} ${object}`),
    ['CW2009 node/routes'],
  )
  assert.match(blockades[0]!.problem.message, /10\.244\.2\.0\/24 had to be made again up to 14 times in a row/)
  nowMs += 15 * 60_000
  assert.deepEqual(rewrites.blockades, [])
})
