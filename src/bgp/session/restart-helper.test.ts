import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Family } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Capabilities } from '#/wire/bgp/index.ts'
import { FakeRoutes } from '../testing/fake-routes.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { openMessage, restartOf } from '../testing/scripted-peer.ts'
import { type RestartTerms } from './open.ts'
import { RestartHelper } from './restart-helper.ts'

const terms: RestartTerms = {
  restartTimeSeconds: 120,
  onNotification: true,
  families: [4, 6],
  longLivedSeconds: new Map(),
}
const restarting = { kind: 'restarting', families: [4, 6] } as const

function setUp() {
  const clock = new ManualClock()
  const routes = new FakeRoutes({ defer: clock.defer })
  return { clock, routes, told: routes.told, helper: new RestartHelper({ peer: 'b' }, { clock, routes, log: silent }) }
}

const back = (families: readonly Family[], changes: Parameters<typeof restartOf>[1] = {}): Capabilities =>
  openMessage({ capabilities: { gracefulRestart: restartOf(families, changes) } }).capabilities

test('a peer that does not come back loses its routes when the restart time is over', async () => {
  const { clock, told, helper } = setUp()
  helper.sessionDown(restarting, terms)
  await clock.advance(119_000)
  assert.deepEqual([told, helper.isHelping], [[], true])
  await clock.advance(1_000)
  assert.deepEqual([told, helper.isHelping], [['sweep b 4', 'sweep b 6'], false])
})

test('long-lived: the routes stay as a last resort for the time that was agreed on', async () => {
  const { clock, told, helper } = setUp()
  helper.sessionDown(restarting, { ...terms, longLivedSeconds: new Map([[6, 3600]]) })
  await clock.advance(120_000)
  assert.deepEqual(told, ['sweep b 4', 'long-lived b 6'])
  await clock.advance(3_599_000)
  assert.equal(told.length, 2)
  await clock.advance(1_000)
  assert.deepEqual(told, ['sweep b 4', 'long-lived b 6', 'sweep b 6'])
})

test('it is told until when routes are kept: for the restart, as a last resort, until End-of-RIB', async () => {
  const { clock, routes, helper } = setUp()
  const leftMs = (family: Family): number => routes.keptUntil.get(`b ${family}`)! - clock.wallMs()
  helper.sessionDown(restarting, { ...terms, longLivedSeconds: new Map([[6, 3600]]) })
  assert.deepEqual([leftMs(4), leftMs(6)], [120_000, 120_000])
  await clock.advance(120_000)
  assert.equal(leftMs(6), 3_600_000)
  const again = setUp()
  again.helper.sessionDown(restarting, terms)
  again.helper.sessionUp(back([4, 6]), [4, 6], 300)
  assert.equal(again.routes.keptUntil.get('b 4')! - again.clock.wallMs(), 300_000)
})

test('a peer that is back has until its End-of-RIB, family by family', async () => {
  const { clock, told, helper } = setUp()
  helper.sessionDown(restarting, terms)
  await clock.advance(10_000)
  helper.sessionUp(back([4, 6]), [4, 6], 300)
  await clock.advance(200_000)
  assert.deepEqual(told, [])
  helper.endOfRib(4)
  assert.deepEqual(told, ['sweep b 4'])
  await clock.advance(100_000)
  assert.deepEqual([told, helper.isHelping], [['sweep b 4', 'sweep b 6'], false])
  helper.endOfRib(6)
  assert.equal(told.length, 2)
})

test('what the peer did not keep, or does not offer any more, goes as it comes back', () => {
  const lost = restartOf([4, 6], {
    families: [
      { family: 4, keptForwarding: false },
      { family: 6, keptForwarding: true },
    ],
  })
  const cases: [Capabilities, readonly Family[], string[]][] = [
    [openMessage({ capabilities: { gracefulRestart: lost } }).capabilities, [4, 6], ['sweep b 4']],
    [back([4]), [4, 6], ['sweep b 6']],
    [back([4, 6]), [4], ['sweep b 6']],
    [openMessage().capabilities, [4, 6], ['sweep b 4', 'sweep b 6']],
  ]
  for (const [capabilities, families, expected] of cases) {
    const { told, helper } = setUp()
    helper.sessionDown(restarting, terms)
    helper.sessionUp(capabilities, families, 300)
    assert.deepEqual(told, expected)
  }
})

test('routes do not live on from restart to restart', () => {
  const { told, helper } = setUp()
  helper.sessionDown(restarting, terms)
  helper.sessionUp(back([4, 6]), [4, 6], 300)
  helper.endOfRib(4)
  helper.sessionDown(restarting, terms)
  assert.deepEqual(told, ['sweep b 4', 'sweep b 6'])
})

test('routes of last resort have their time once: neither a session without End-of-RIB nor its end prolongs it', async () => {
  const { clock, told, helper } = setUp()
  const longLived = { ...terms, longLivedSeconds: new Map<Family, number>([[4, 1000]]) }
  const of4 = { kind: 'restarting', families: [4] } as const
  helper.sessionDown(of4, longLived)
  await clock.advance(120_000)
  assert.deepEqual(told, ['long-lived b 4'])
  // 900 of 1,000 seconds are left, however often it comes and goes
  await clock.advance(100_000)
  helper.sessionUp(back([4]), [4], 300)
  await clock.advance(400_000)
  helper.sessionDown(of4, longLived)
  assert.deepEqual([told, helper.isHelping], [['long-lived b 4'], true])
  await clock.advance(120_000)
  assert.deepEqual(told, ['long-lived b 4', 'long-lived b 4'], 'what came meanwhile is a last resort now, too')
  helper.sessionUp(back([4]), [4], 300)
  await clock.advance(379_000)
  assert.equal(told.length, 2)
  await clock.advance(1_000)
  assert.deepEqual([told.at(-1), helper.isHelping], ['sweep b 4', false])
})

test('routes of last resort go with an end for good, and with a session that keeps nothing', async () => {
  for (const isDown of [true, false]) {
    const { clock, told, helper } = setUp()
    helper.sessionDown(restarting, {
      ...terms,
      longLivedSeconds: new Map<Family, number>([
        [4, 1000],
        [6, 1000],
      ]),
    })
    await clock.advance(120_000)
    assert.deepEqual(told, ['long-lived b 4', 'long-lived b 6'])
    if (isDown) helper.sessionDown({ kind: 'gone' }, terms)
    else helper.sessionUp(openMessage().capabilities, [4, 6], 300)
    assert.deepEqual(
      [told.filter((each) => each.startsWith('sweep')), helper.isHelping],
      [['sweep b 4', 'sweep b 6'], false],
    )
  }
})

test('frozen, nothing more is told', async () => {
  const { clock, told, helper } = setUp()
  helper.sessionDown(restarting, terms)
  helper.freeze()
  await clock.advance(10_000_000)
  assert.deepEqual([told, clock.timerCount], [[], 0])
})
