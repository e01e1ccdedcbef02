import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { type DoctorReport } from '#/ui/contract.ts'
import { Diagnoses } from './diagnoses.ts'
import { healthyReport } from './testing/served.ts'

type Run = { readonly finish: (report?: DoctorReport) => void; readonly fail: (error: Error) => void }

const findings: DoctorReport['findings'] = [
  {
    code: 'CW7003',
    object: 'node/a',
    objects: ['node/a'],
    message: 'm',
    how: 'h',
    remedy: 'r',
    nodes: ['a'],
    consequences: [],
    explains: [],
    lost: [],
  },
]

class Scene implements Disposable {
  readonly runs: Run[] = []
  readonly diagnoses = new Diagnoses({
    examine: async () => {
      const { promise, resolve, reject } = Promise.withResolvers<DoctorReport>()
      this.runs.push({ finish: (report = healthyReport) => resolve(report), fail: reject })
      return promise
    },
    onChange: () => {},
    waits: { settleMs: 20, pauseMs: 80, wrongMs: 120, wellMs: 1_000, timesTook: 0 },
  })

  tell(troubles: string, nodes = 3): void {
    this.diagnoses.notice({ nodes, troubles })
  }

  async finish(report?: DoctorReport): Promise<void> {
    this.runs.at(-1)!.finish(report)
    await sleep(1)
  }

  [Symbol.dispose](): void {
    this.diagnoses[Symbol.dispose]()
  }
}

test('it is made when somebody begins to look, and again when what is wrong has changed and settled', async () => {
  using scene = new Scene()
  const { diagnoses, runs } = scene
  assert.equal(diagnoses.state, undefined)
  scene.tell('')
  await sleep(5)
  assert.equal(diagnoses.state!.state, 'running')
  await scene.finish()
  assert.deepEqual([diagnoses.state!.state, diagnoses.state!.report], ['done', healthyReport])
  scene.tell('')
  await sleep(150)
  assert.equal(runs.length, 1)
  scene.tell('a')
  await sleep(5)
  scene.tell('b')
  assert.equal(runs.length, 1, 'others are about to tell of it')
  await sleep(40)
  assert.equal(runs.length, 2)
  // what it began with was b
  await scene.finish()
  scene.tell('b')
  await sleep(150)
  assert.equal(runs.length, 2)
})

test('two that nobody asked for have a pause between them, and who asks does not wait for it', async () => {
  using scene = new Scene()
  const { diagnoses, runs } = scene
  scene.tell('')
  await sleep(5)
  await scene.finish()
  scene.tell('a')
  await sleep(40)
  assert.equal(runs.length, 1)
  diagnoses.ask()
  assert.equal(runs.length, 2)
  // one is running: another one begins after it, since it may have looked already
  diagnoses.ask()
  diagnoses.ask()
  assert.equal(runs.length, 2)
  await scene.finish()
  assert.equal(runs.length, 3)
  await scene.finish()
  assert.equal(runs.length, 3)
})

test('one that fails says why, and the last one that did not stays', async () => {
  using scene = new Scene()
  const { diagnoses, runs } = scene
  diagnoses.ask()
  await scene.finish()
  const { reportMs } = diagnoses.state!
  diagnoses.ask()
  assert.deepEqual([diagnoses.state!.state, diagnoses.state!.report], ['running', healthyReport])
  runs.at(-1)!.fail(new Error('the API server does not answer'))
  await sleep(1)
  const { state, message, report } = diagnoses.state!
  assert.deepEqual([state, message, report], ['failed', 'the API server does not answer', healthyReport])
  assert.equal(diagnoses.state!.reportMs, reportMs)
})

test('nobody looks, nothing begins; who looks again sees what is wrong then', async () => {
  using scene = new Scene()
  const { diagnoses, runs } = scene
  scene.tell('a')
  diagnoses.notice(undefined)
  await sleep(30)
  assert.equal(runs.length, 0)
  scene.tell('a')
  await sleep(5)
  await scene.finish()
  diagnoses.notice(undefined)
  await sleep(100)
  scene.tell('a')
  await sleep(5)
  assert.equal(runs.length, 2)
})

test('what doctor alone has found is looked at again while a page is open, though agents tell nothing new', async () => {
  using scene = new Scene()
  const { diagnoses, runs } = scene
  scene.tell('')
  await sleep(5)
  await scene.finish({ ...healthyReport, findings })
  scene.tell('')
  await sleep(60)
  assert.equal(runs.length, 1)
  await sleep(100)
  assert.equal(runs.length, 2)
  // one that fails leaves the finding
  runs.at(-1)!.fail(new Error('no'))
  await sleep(160)
  assert.equal(runs.length, 3)
  await scene.finish()
  await sleep(200)
  assert.equal(runs.length, 3, 'nothing is wrong any more')
  diagnoses.ask()
  await scene.finish({ ...healthyReport, findings })
  diagnoses.notice(undefined)
  await sleep(200)
  assert.equal(runs.length, 4, 'no page is open')
})

test('a trace that is lost has doctor look', async () => {
  using scene = new Scene()
  const { diagnoses, runs } = scene
  scene.tell('')
  await sleep(5)
  diagnoses.noteLoss()
  await scene.finish()
  await sleep(40)
  assert.equal(runs.length, 1)
  await sleep(80)
  assert.equal(runs.length, 2, 'the first one may have looked before')
  await scene.finish()
  await sleep(150)
  assert.equal(runs.length, 2)
})

test('a large cluster is examined when somebody asks, and then as long as something is wrong there', async () => {
  using scene = new Scene()
  const { diagnoses, runs } = scene
  scene.tell('', 2_000)
  diagnoses.noteLoss()
  await sleep(100)
  assert.equal(runs.length, 0)
  diagnoses.ask()
  await scene.finish({ ...healthyReport, findings })
  await sleep(160)
  assert.equal(runs.length, 2)
})
