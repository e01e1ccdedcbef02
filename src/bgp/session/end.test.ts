import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CeaseSubcode, ErrorCode, hardReset, type Notification, notificationOf } from '#/wire/bgp/index.ts'
import { type DownCause } from '../fsm/index.ts'
import { endOf } from './end.ts'
import { type RestartTerms } from './open.ts'

const terms = (onNotification: boolean): RestartTerms => ({
  restartTimeSeconds: 120,
  onNotification,
  families: [4, 6],
  longLivedSeconds: new Map(),
})
const cease = (subcode: number): Notification => notificationOf(ErrorCode.cease, subcode)
const sent = (notification: Notification): DownCause => ({ kind: 'sent', notification })
const received = (notification: Notification): DownCause => ({ kind: 'received', notification })

// what happened; whether routes are kept without and with the N bit of RFC 8538
const ends: [string, DownCause, boolean, boolean][] = [
  ['TCP ended', { kind: 'closed' }, true, true],
  ['the peer came on a new connection', { kind: 'replaced' }, true, true],
  ['the hold timer expired', sent(notificationOf(ErrorCode.holdTimerExpired)), false, true],
  ['the peer sent nonsense', sent(notificationOf(ErrorCode.update, 1)), false, true],
  ["the peer's hold timer expired", received(notificationOf(ErrorCode.holdTimerExpired)), false, true],
  ['the peer resets', received(cease(CeaseSubcode.reset)), false, true],
  ['the peer resets hard', received(hardReset(cease(CeaseSubcode.reset))), false, false],
  ['the peer is shut down', received(cease(CeaseSubcode.shutdown)), false, false],
  ['the peer has us no more', received(cease(CeaseSubcode.deconfigured)), false, false],
  ['we were told to stop', { kind: 'stopped' }, false, false],
  ['BFD is down', { kind: 'bfdDown' }, false, false],
  ['too many prefixes', { kind: 'maxPrefixes' }, false, false],
]
for (const [name, cause, without, withBit] of ends)
  test(`${name}: routes are ${without ? '' : withBit ? 'with the N bit ' : 'not '}kept`, () => {
    const kept = { kind: 'restarting', families: [4, 6] }
    const gone = { kind: 'gone' }
    assert.deepEqual(endOf(cause, terms(false)), without ? kept : gone)
    assert.deepEqual(endOf(cause, terms(true)), withBit ? kept : gone)
    assert.deepEqual(endOf(cause, undefined), gone)
    assert.deepEqual(endOf(cause, { ...terms(true), families: [] }), gone)
  })
