import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { type Form, type FormChange } from '#/policy/form.ts'
import { type PolicyFacts, type PolicySink } from '#/reconcile/policy/policy-sink.ts'
import { PolicyKeeper } from './keeper.ts'

/** A sink that notes what it is asked to do. */
class FakeSink implements PolicySink {
  readonly calls: string[] = []
  readonly facts: PolicyFacts[] = []
  applyError: Error | undefined
  compareError: Error | undefined
  differences: readonly string[] = []
  /** While set, comparisons wait for it. */
  gate: Promise<void> | undefined
  readonly objects = []

  apply(_form: Form, _change: FormChange, facts: PolicyFacts): void {
    this.calls.push('apply')
    this.facts.push(facts)
    if (this.applyError) throw this.applyError
  }

  noteMissed(): void {
    this.calls.push('noteMissed')
  }

  async compare(): Promise<readonly string[]> {
    this.calls.push('compare')
    await this.gate
    if (this.compareError) throw this.compareError
    return this.differences
  }

  dropLocal(): void {}
  existsInKernel(): boolean {
    return false
  }
}

function scene(...others: FakeSink[]) {
  const clock = new ManualClock()
  const sink = new FakeSink()
  let taken = 0
  const source = { form: {} as Form, take: () => (taken++, {} as FormChange), hasPolicies: true }
  const keeper = new PolicyKeeper({ source, sinks: [sink, ...others], ports: new Map(), clock, log: silent })
  const compared: boolean[] = []
  keeper.compared.subscribe(({ wasOther }) => compared.push(wasOther))
  return { clock, sink, keeper, compared, taken: () => taken }
}

test('nothing is written before all is known, then everything is compared once, and from then on changes are written', async () => {
  const { clock, sink, keeper, compared } = scene()
  keeper.note()
  await clock.advance(120_000)
  assert.deepEqual(sink.calls, [])
  assert.equal(keeper.state.kind, 'waiting')
  keeper.begin()
  await clock.advance(0)
  assert.deepEqual(sink.calls, ['noteMissed', 'compare', 'apply'])
  assert.deepEqual(compared, [true])
  assert.ok(keeper.isLevel)
  keeper.begin()
  await clock.advance(0)
  assert.equal(sink.calls.length, 3, 'it begins only once')
  await keeper[Symbol.asyncDispose]()
})

async function level() {
  const all = scene()
  all.keeper.begin()
  await all.clock.advance(10)
  all.sink.calls.length = 0
  return all
}

test('a change that comes alone is written at once, many that come together share a few transactions', async () => {
  const { clock, sink, keeper } = await level()
  keeper.note()
  await clock.advance(0)
  assert.deepEqual(sink.calls, ['apply'])
  for (let count = 0; count < 100; count++) {
    keeper.note()
    await clock.advance(0.1)
  }
  await clock.advance(5)
  assert.ok(sink.calls.length <= 4, `${sink.calls.length} transactions within 15 ms`)
  await keeper[Symbol.asyncDispose]()
})

test('a flush writes now, what was gathered included, and tells which ports are others', async () => {
  const { clock, sink, keeper } = await level()
  const told: (number | undefined)[] = []
  keeper.applied.subscribe(({ sinceEventMs }) => told.push(sinceEventMs))
  keeper.flush()
  keeper.note()
  await clock.advance(2)
  keeper.notePort('cwv1')
  keeper.flush()
  assert.deepEqual(sink.calls, ['apply', 'apply'])
  assert.deepEqual([...sink.facts.at(-1)!.changedPorts], ['cwv1'])
  assert.equal(told.at(-1), 2)
  await clock.advance(50)
  assert.equal(sink.calls.length, 2, 'the gathered change has been written already')
  await keeper[Symbol.asyncDispose]()
})

test('after a failed change nothing else is written until everything was compared', async () => {
  const { clock, sink, keeper, compared } = await level()
  sink.applyError = new Error('ENOMEM')
  assert.throws(() => keeper.flush(), /ENOMEM/)
  assert.equal(keeper.state.kind, 'failing')
  assert.equal(keeper.state.why, 'ENOMEM')
  keeper.note()
  keeper.flush()
  await clock.advance(100)
  assert.deepEqual(sink.calls, ['apply'])
  sink.compareError = new Error('still ENOMEM')
  await clock.advance(400)
  assert.deepEqual(sink.calls, ['apply', 'noteMissed', 'compare'])
  sink.applyError = undefined
  sink.compareError = undefined
  compared.length = 0
  await clock.advance(1000)
  assert.deepEqual(sink.calls, ['apply', 'noteMissed', 'compare', 'noteMissed', 'compare', 'apply'])
  assert.ok(keeper.isLevel)
  assert.deepEqual(compared, [true], 'rules may have been others meanwhile')
  await keeper[Symbol.asyncDispose]()
})

test('everything is compared once a minute; what differed is told, and changes go on meanwhile', async () => {
  const { clock, sink, keeper, compared } = await level()
  compared.length = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  sink.gate = promise
  await clock.advance(60_000)
  assert.deepEqual(sink.calls, ['apply', 'compare'])
  keeper.note()
  await clock.advance(5)
  assert.deepEqual(sink.calls, ['apply', 'compare', 'apply'])
  sink.gate = undefined
  resolve()
  await clock.advance(0)
  assert.deepEqual(compared, [false])
  sink.differences = ['chain out-1: 2 rules']
  keeper.compareSoon()
  await clock.advance(50)
  assert.deepEqual(compared, [false, true])
  await keeper[Symbol.asyncDispose]()
})

test('a wish to compare that comes during a comparison is not lost', async () => {
  const { clock, sink, keeper } = await level()
  const { promise, resolve } = Promise.withResolvers<void>()
  sink.gate = promise
  keeper.compareSoon()
  await clock.advance(0)
  keeper.compareSoon()
  keeper.compareSoon()
  sink.gate = undefined
  resolve()
  await clock.advance(0)
  assert.equal(sink.calls.filter((call) => call === 'compare').length, 2)
  await keeper[Symbol.asyncDispose]()
})

test('a port that changes while one sink compares is told to all of them afterwards', async () => {
  const second = new FakeSink()
  const { clock, sink, keeper } = scene(second)
  const { promise, resolve } = Promise.withResolvers<void>()
  sink.gate = promise
  keeper.begin()
  await clock.advance(0)
  keeper.notePort('cwv1')
  keeper.flush()
  resolve()
  await clock.advance(0)
  assert.deepEqual([...sink.facts.at(-1)!.changedPorts], ['cwv1'])
  assert.deepEqual([...second.facts.at(-1)!.changedPorts], ['cwv1'])
  await keeper[Symbol.asyncDispose]()
})

test('what is stopped during a comparison leaves no timer, whatever comes after', async () => {
  const { clock, sink, keeper } = await level()
  const { promise, resolve } = Promise.withResolvers<void>()
  sink.gate = promise
  keeper.compareSoon()
  await clock.advance(0)
  const stopped = keeper[Symbol.asyncDispose]()
  resolve()
  await stopped
  keeper.note()
  assert.equal(clock.nextMs, undefined)
})

test('whoever changes a table all the time does not have it read all the time', async () => {
  const { clock, sink, keeper } = await level()
  const comparison = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    sink.gate = promise
    keeper.compareSoon()
    await clock.advance(100)
    // noted while it is under way
    keeper.compareSoon()
    resolve()
    await clock.advance(0)
  }
  const count = (): number => sink.calls.filter((call) => call === 'compare').length
  await comparison()
  assert.equal(count(), 1)
  sink.gate = undefined
  keeper.compareSoon()
  await clock.advance(299)
  assert.equal(count(), 1, 'it leaves three times as much time')
  await clock.advance(2)
  assert.equal(count(), 2, 'and then looks once')
  await clock.advance(1000)
  assert.equal(count(), 2)
  keeper.compareSoon()
  await clock.advance(0)
  assert.equal(count(), 3, 'one that comes alone is made at once')
  await keeper[Symbol.asyncDispose]()
})

test('a keeper that pauses ends at once', async () => {
  const { clock, sink, keeper } = await level()
  const { promise, resolve } = Promise.withResolvers<void>()
  sink.gate = promise
  keeper.compareSoon()
  await clock.advance(100)
  keeper.compareSoon()
  resolve()
  await clock.advance(10)
  await keeper[Symbol.asyncDispose]()
  assert.equal(clock.nextMs, undefined)
  assert.equal(sink.calls.filter((call) => call === 'compare').length, 1)
})

test('members of sets that come by the hundreds are written in portions too', async () => {
  const { clock, sink, keeper } = await level()
  keeper.flush()
  sink.calls.length = 0
  for (let count = 0; count < 300; count++) keeper.note()
  assert.equal(sink.calls.length, 1)
  await clock.advance(10)
  assert.equal(sink.calls.length, 2)
  await keeper[Symbol.asyncDispose]()
})
