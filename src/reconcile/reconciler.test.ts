import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Netlink, type Operation } from '#/kernel/netlink.ts'
import { WireError } from '#/lib/bytes.ts'
import { createLogger, type Logger, silent } from '#/lib/log.ts'
import { emptyNetwork } from '#/model/network.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { decodeMessages } from '#/wire/netlink/message.ts'
import { type Change, type Comparison, type Driver, nothingToDo } from './driver.ts'
import { Reconciler, unreadKey } from './reconciler.ts'

const silentNetlink = { executeMany: async () => [] } as unknown as Netlink

function driver(kind: ObjectKind, compare: () => Comparison): Driver {
  return { kind, compare }
}

function reconcilerOf(drivers: readonly Driver[], netlink = silentNetlink, log: Logger = silent): Reconciler {
  return new Reconciler({ netlink, drivers, log, nowMs: () => 0, onChanges() {} })
}

const routeAddition: Operation = { type: 24, payload: new Uint8Array(), what: 'ip route add 10.244.2.0/24' }

/** An acknowledgement of 36 bytes that was cut off. */
function truncatedAnswer(): never {
  const header = new Uint8Array(20)
  new DataView(header.buffer).setUint32(0, 36, true)
  decodeMessages(header)
  throw new Error('it should have been refused')
}

test('a truncated answer fails its own kind alone, whose objects are in error until they can be read', async () => {
  let isTruncated = false
  const routes = driver('route', () => (isTruncated ? truncatedAnswer() : { ...nothingToDo, keys: ['10.244.2.0/24'] }))
  const links = driver('link', () => ({ ...nothingToDo, keys: ['cw-br0'] }))
  const reconciler = reconcilerOf([routes, links])
  const stateOf = (key: string) => reconciler.status.find((object) => object.key === key)
  await reconciler.apply(emptyNetwork, { isComplete: true })
  isTruncated = true
  const report = await reconciler.apply(emptyNetwork, { isComplete: true })
  assert.deepEqual([...report.failedKinds], ['route'])
  assert.equal(stateOf('10.244.2.0/24')?.state, 'error')
  assert.match(stateOf('10.244.2.0/24')!.message!, /netlink message of length 36/)
  assert.equal(stateOf('cw-br0')?.state, 'done')
  isTruncated = false
  assert.equal((await reconciler.apply(emptyNetwork, { isComplete: true })).failed, 0)
  assert.equal(stateOf('10.244.2.0/24')?.state, 'done')
  assert.throws(truncatedAnswer, WireError)
})

test('a truncated answer to a change puts the object to be changed in error, and no other kind waits', async () => {
  const answers = {
    executeMany: async (operations: readonly Operation[]) => (operations.length > 0 ? truncatedAnswer() : []),
  }
  const change: Change = { verb: 'add', key: '10.244.2.0/24', commands: [], work: { operations: [routeAddition] } }
  const routes = driver('route', () => ({ ...nothingToDo, keys: [change.key], changes: [change] }))
  const tables = driver('table', () => ({ ...nothingToDo, keys: ['causeway'] }))
  const reconciler = reconcilerOf([routes, tables], answers as unknown as Netlink)
  const report = await reconciler.apply(emptyNetwork, { isComplete: true })
  assert.deepEqual([...report.failedKinds], ['route'])
  assert.match(reconciler.status.find(({ key }) => key === change.key)!.message!, /netlink message of length 36/)
  assert.equal(reconciler.status.find(({ key }) => key === 'causeway')?.state, 'done')
})

test('the log names each object that was changed or failed, under a message that is always the same', async () => {
  const lines: unknown[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line))
  const log = createLogger({ level: 'info', write, now: () => '' })
  const change = (verb: Change['verb'], key: string, why?: string): Change => ({
    verb,
    key,
    commands: [],
    work: {
      call: () => {
        if (why !== undefined) throw new Error(why)
      },
    },
  })
  const routes = driver('route', () => ({
    ...nothingToDo,
    keys: ['a', 'b'],
    changes: [change('add', 'a'), change('add', 'b', 'no room')],
    leftovers: [change('delete', 'c', 'busy')],
  }))
  await reconcilerOf([routes], silentNetlink, log).apply(emptyNetwork, { isComplete: true })
  const at = { time: '', kind: 'route' }
  assert.deepEqual(lines, [
    { ...at, level: 'info', message: 'object changed', verb: 'add', key: 'a', commands: [] },
    { ...at, level: 'error', message: 'object failed', key: 'b', error: 'no room' },
    { ...at, level: 'error', message: 'object could not be deleted', key: 'c', error: 'busy' },
  ])
})

test('passes and previews take turns: drivers serve one at a time', async () => {
  let running = 0
  const slow: Driver = {
    kind: 'table',
    compare: async () => {
      assert.equal(++running, 1)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running--
      return nothingToDo
    },
  }
  const reconciler = reconcilerOf([slow])
  const options = { isComplete: true }
  await Promise.all([
    reconciler.apply(emptyNetwork, options),
    reconciler.preview(emptyNetwork, options),
    reconciler.apply(emptyNetwork, options),
  ])
})

test('a kind whose driver cannot work from a delta counts as failed, so that it is read', async () => {
  const delta = { routes: new Map(), neighbours: new Map(), tunnelEnds: new Map() }
  const blind: Driver = { kind: 'table', compare: () => nothingToDo, fromDelta: () => undefined }
  const { failedKinds } = await reconcilerOf([blind]).applyDelta(delta, { isComplete: true })
  assert.deepEqual([...failedKinds], ['table'])
})

test('calls and netlink operations of one kind are carried out in the order that the driver says', async () => {
  const order: string[] = []
  const netlink = {
    executeMany: async (operations: readonly Operation[]) => {
      order.push(...operations.map(({ what }) => what))
      return operations.map(() => undefined)
    },
  } as unknown as Netlink
  const operation = (what: string): Change => ({
    verb: 'add',
    key: what,
    commands: [],
    work: { operations: [{ ...routeAddition, what }] },
  })
  const call = (key: string): Change => ({
    verb: 'add',
    key,
    commands: [],
    work: {
      call: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        order.push(key)
      },
    },
  })
  const changes = [call('load'), operation('attach 1'), operation('attach 2'), call('verify'), operation('delete')]
  const keys = changes.map(({ key }) => key)
  const reconciler = reconcilerOf([driver('table', () => ({ ...nothingToDo, keys, changes }))], netlink)
  assert.equal((await reconciler.apply(emptyNetwork, { isComplete: true })).failed, 0)
  assert.deepEqual(order, keys)
})

test('an asynchronous call that fails puts its object in error, and the other changes are carried out', async () => {
  const failing: Change = {
    verb: 'add',
    key: 'program',
    commands: [],
    work: { call: () => Promise.reject(new Error('the verifier refuses it')) },
  }
  const fine: Change = { verb: 'add', key: 'map', commands: [], work: { call: async () => {} } }
  const comparison = { ...nothingToDo, keys: ['program', 'map'], changes: [failing, fine] }
  const reconciler = reconcilerOf([driver('table', () => comparison)])
  const report = await reconciler.apply(emptyNetwork, { isComplete: true })
  assert.equal(report.failed, 1)
  const told = reconciler.status.map(({ key, state: is, message = '' }) => `${key} ${is} ${message}`.trim())
  assert.deepEqual(told, ['program error the verifier refuses it', 'map done'])
})

test('a kind that cannot be read at the first look is an object in error, until it is read', async () => {
  let canRead = false
  const routes = driver('route', () => {
    if (!canRead) throw new Error('cut off')
    return { ...nothingToDo, keys: ['10.244.2.0/24'] }
  })
  const reconciler = reconcilerOf([routes])
  await reconciler.apply(emptyNetwork, { isComplete: true })
  assert.deepEqual(
    reconciler.failures.map(({ kind, key, message }) => [kind, key, message]),
    [['route', unreadKey, 'cut off']],
  )
  canRead = true
  await reconciler.apply(emptyNetwork, { isComplete: true })
  assert.deepEqual(
    reconciler.status.map(({ key, state: is }) => [key, is]),
    [['10.244.2.0/24', 'done']],
  )
})
