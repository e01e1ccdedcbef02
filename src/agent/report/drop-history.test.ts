import { type DropCount, type PodTraffic } from '#/datapath/programs.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hooks } from '#/wire/bpf/maps.ts'
import { dropReasons, type DropReasonName } from '#/wire/bpf/reasons.ts'
import { DropHistory, podShare, ShareHistory } from './drop-history.ts'

function drop(reason: DropReasonName, packets: number, device = 7): DropCount {
  return { device, hook: hooks.from_pod, reason: dropReasons[reason].number, packets, bytes: packets * 60 }
}

const objectOf = (device: number): string | undefined => (device === 7 ? 'pod/default/a' : undefined)
const minuteMs = 60_000
const startMs = Date.UTC(2026, 0, 1)

test('drops of a serious reason are a problem from when they grow until five minutes have passed without', () => {
  const history = new DropHistory()
  const at = (minutes: number, ...drops: DropCount[]): string[] => {
    history.observe(drops, startMs + minutes * minuteMs)
    return history
      .problems(startMs + minutes * minuteMs, objectOf)
      .map(({ code, object, message }) => `${code} ${object}: ${message}`)
  }
  assert.deepEqual(at(0, drop('source_address', 9)), [], 'they may be of long ago')
  assert.deepEqual(at(1, drop('source_address', 9), drop('malformed', 5)), [], 'not every reason is serious')
  const one = 'CW3231 pod/default/a: 3 dropped: the source is no address of the pod'
  assert.deepEqual(at(2, drop('source_address', 12)), [`${one}; the last at 2026-01-01T00:02:00.000Z`])
  assert.deepEqual(at(3, drop('source_address', 12), drop('source_mac', 8), drop('tunnel_from_pod', 1)), [
    "CW3231 pod/default/a: 8 dropped: the source MAC is not the pod's; 3 dropped: the source is no address of the pod; the last at 2026-01-01T00:03:00.000Z",
    "CW3233 pod/default/a: 1 dropped: a pod sent a packet to a node's tunnel port; the last at 2026-01-01T00:03:00.000Z",
  ])
  const still = [drop('source_address', 12), drop('source_mac', 8)]
  assert.deepEqual(at(7.5, ...still), [
    "CW3231 pod/default/a: 8 dropped: the source MAC is not the pod's; the last at 2026-01-01T00:03:00.000Z",
  ])
  assert.deepEqual(at(8, ...still), [])
  assert.deepEqual(at(9, drop('source_address', 13), drop('source_mac', 8)), [
    'CW3231 pod/default/a: 1 dropped: the source is no address of the pod; the last at 2026-01-01T00:09:00.000Z',
  ])
  assert.equal(history.lastMs(drop('source_address', 13), startMs + 9.5 * minuteMs), startMs + 9 * minuteMs)
  assert.deepEqual(at(10, drop('source_address', 1, 8)), [], 'a device that is gone is no pod')
})

test('a drop that came after the last round came now, and one from before the first round at no known time', () => {
  const history = new DropHistory()
  assert.equal(history.lastMs(drop('malformed', 1), startMs), undefined)
  history.observe([drop('malformed', 1)], startMs)
  assert.equal(history.lastMs(drop('malformed', 1), startMs + 5000), undefined)
  assert.equal(history.lastMs(drop('malformed', 2), startMs + 5000), startMs + 5000)
  assert.equal(history.lastMs(drop('source_mac', 1), startMs + 5000), startMs + 5000)
})

function traffic(carried: number, stack: number): PodTraffic {
  const none = { packets: 0, bytes: 0 }
  const ways = {
    stack: { packets: stack, bytes: 0 },
    local: none,
    native: { packets: carried, bytes: 0 },
    tunnel: none,
  }
  return { from_pod: ways, to_pod: ways }
}

test('lately is what the counters have grown by within a minute', () => {
  const history = new ShareHistory()
  const lately = (carried: number, stack: number, nowMs: number) =>
    history.lately(7, podShare(traffic(carried, stack)), nowMs)
  assert.equal(lately(1, 1, 0), undefined)
  for (const [seconds, carried, stack] of [
    [0, 1000, 10],
    [30, 1000, 20],
    [60, 1000, 40],
    [90, 1000, 80],
  ] as const)
    history.observe(new Map([[7, traffic(carried, stack)]]), seconds * 1000)
  const share = { carried: 5, stack: 80 }
  assert.deepEqual(lately(1005, 100, 95_000), { seconds: 65, sent: share, received: share })
  assert.equal(lately(3, 4, 95_000), undefined, 'another pod has the counters now')
})

test('more drops of a serious reason put the maps in doubt', () => {
  const history = new DropHistory()
  assert.equal(history.observe([drop('source_address', 9)], startMs), false, 'they may be of long ago')
  assert.equal(history.observe([drop('source_address', 10)], startMs + minuteMs), true)
  assert.equal(history.observe([drop('source_address', 10), drop('malformed', 4)], startMs + 2 * minuteMs), false)
})
