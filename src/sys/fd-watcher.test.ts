import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { closeSync, readSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { POLLIN, watchFd } from './fd-watcher.ts'
import { libc, SysError } from './libc.ts'

class Pipe implements Disposable {
  readonly out: number
  readonly in: number
  #isOpen = true

  constructor() {
    const ends = new Int32Array(2)
    libc('pipe2', [ends, 0x800])
    this.out = ends[0]!
    this.in = ends[1]!
  }

  write(): void {
    writeSync(this.in, 'x')
  }

  take(): void {
    readSync(this.out, new Uint8Array(1))
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    closeSync(this.out)
    closeSync(this.in)
  }
}

async function eventually(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !isSo(); turn++) await sleep(2)
  assert.ok(isSo())
}

/** What a process prints that runs this, and how it ends; one that hangs is killed, and has no status then. */
async function runChild(program: string, poolThreads = 4): Promise<{ status: unknown; stdout: string }> {
  const start = `
    import { closeSync, writeSync } from 'node:fs'
    import { readFile } from 'node:fs/promises'
    import { Worker } from 'node:worker_threads'
    import { watchFd } from ${JSON.stringify(new URL('fd-watcher.ts', import.meta.url).href)}
    import { libc } from ${JSON.stringify(new URL('libc.ts', import.meta.url).href)}
    const pipe = () => { const ends = new Int32Array(2); libc('pipe2', [ends, 0x800]); return [...ends] }
    const workerOf = (text) => new Worker(new URL('data:text/javascript,' + encodeURIComponent(
      'import { libc } from ${new URL('libc.ts', import.meta.url).href};' +
      'import { watchFd } from ${new URL('fd-watcher.ts', import.meta.url).href};' +
      'import { parentPort } from "node:worker_threads";' +
      'const ends = new Int32Array(2); libc("pipe2", [ends, 0x800]);' + text)))
  `.replaceAll(/(from )(file:[^;]+);/g, '$1"$2";')
  const { promise, resolve } = Promise.withResolvers<{ status: unknown; stdout: string }>()
  const options = {
    timeout: 20_000,
    killSignal: 'SIGKILL' as const,
    env: { ...process.env, UV_THREADPOOL_SIZE: String(poolThreads) },
  }
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', start + program]
  execFile(process.execPath, args, options, (error, stdout, stderr) =>
    resolve({ status: error === null ? 0 : (error.code ?? `killed: ${stderr}`), stdout }),
  )
  return promise
}

test('a handler is called for as long as its descriptor is ready, and not afterwards', async () => {
  using pipe = new Pipe()
  let calls = 0
  using _watch = watchFd(pipe.out, POLLIN, () => {
    calls++
    pipe.take()
  })
  await sleep(20)
  assert.equal(calls, 0)
  for (let written = 0; written < 3; written++) pipe.write()
  await eventually(() => calls === 3)
  await sleep(20)
  assert.equal(calls, 3)
})

test('a descriptor that is watched already is EEXIST, one that is closed EBADF, and neither harms the others', async () => {
  using pipe = new Pipe()
  let calls = 0
  using _watch = watchFd(pipe.out, POLLIN, () => {
    calls++
    pipe.take()
  })
  const fails = (fd: number, code: string) =>
    assert.throws(
      () => watchFd(fd, POLLIN, () => {}),
      (error) => error instanceof SysError && error.code === code,
    )
  fails(pipe.out, 'EEXIST')
  fails(1_000_000, 'EBADF')
  pipe.write()
  await eventually(() => calls === 1)
})

test('a hundred that are ready at once all have their turn', async () => {
  using stack = new DisposableStack()
  const seen = new Set<number>()
  const pipes = Array.from({ length: 100 }, () => stack.use(new Pipe()))
  for (const pipe of pipes) {
    stack.use(watchFd(pipe.out, POLLIN, () => seen.add(pipe.out)))
    pipe.write()
  }
  // none of them takes what is there: one that stays ready must not starve the rest
  await eventually(() => seen.size === 100)
})

test('a handler can dispose of other watches, and their descriptor numbers can be used anew', async () => {
  using stack = new DisposableStack()
  const [first, second] = [stack.use(new Pipe()), stack.use(new Pipe())] as const
  const events: string[] = []
  const watches = new Map<Pipe, Disposable>()
  const anew = (gone: Pipe): void => {
    watches.get(gone)![Symbol.dispose]()
    gone[Symbol.dispose]()
    const successor = stack.use(new Pipe())
    assert.equal(successor.out, gone.out)
    stack.use(
      watchFd(successor.out, POLLIN, () => {
        successor.take()
        events.push('new')
      }),
    )
    successor.write()
  }
  const onReady = (own: Pipe, other: Pipe) => () => {
    events.push('old')
    own.take()
    anew(other)
  }
  watches.set(first, stack.use(watchFd(first.out, POLLIN, onReady(first, second))))
  watches.set(second, stack.use(watchFd(second.out, POLLIN, onReady(second, first))))
  // both before anybody looks: whichever comes first ends the other
  first.write()
  second.write()
  await eventually(() => events.length === 2)
  await sleep(20)
  assert.deepEqual(events, ['old', 'new'])
})

test('a watch that outlives its descriptor does not end that of the next one with the same number', async () => {
  using first = new Pipe()
  const stale = watchFd(first.out, POLLIN, () => assert.fail('closed'))
  first[Symbol.dispose]()
  using second = new Pipe()
  assert.equal(second.out, first.out)
  let calls = 0
  using _watch = watchFd(second.out, POLLIN, () => {
    second.take()
    calls++
  })
  stale[Symbol.dispose]()
  second.write()
  await eventually(() => calls === 1)
})

test('for any order of watching, disposing and writing, the handlers of ready descriptors are called, and no others', async () => {
  const operation = fc.record({
    kind: fc.constantFrom('watch', 'dispose', 'write', 'renew', 'turn' as const),
    slot: fc.nat(4),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
      using stack = new DisposableStack()
      const slots = Array.from({ length: 5 }, () => ({
        pipe: stack.use(new Pipe()),
        watch: undefined as Disposable | undefined,
        unread: 0,
      }))
      for (const { kind, slot } of operations) {
        const state = slots[slot]!
        const unwatch = (): void => {
          state.watch?.[Symbol.dispose]()
          state.watch = undefined
        }
        if (kind === 'turn') await sleep(0)
        if (kind === 'dispose') unwatch()
        if (kind === 'write') {
          state.pipe.write()
          state.unread++
        }
        if (kind === 'renew') {
          unwatch()
          state.pipe[Symbol.dispose]()
          state.pipe = stack.use(new Pipe())
          state.unread = 0
        }
        if (kind === 'watch' && state.watch === undefined) {
          const { pipe } = state
          state.watch = watchFd(pipe.out, POLLIN, () => {
            assert.equal(state.pipe, pipe)
            assert.ok(state.watch !== undefined && state.unread > 0)
            pipe.take()
            state.unread--
          })
        }
      }
      await eventually(() => slots.every(({ watch, unread }) => watch === undefined || unread === 0))
      for (const { watch } of slots) watch?.[Symbol.dispose]()
    }),
    { numRuns: 50 },
  )
})

test('a handler that throws loses its own watch and no other, and its error is not lost', async () => {
  const { status, stdout } = await runChild(`
    const [badOut, badIn] = pipe(), [goodOut, goodIn] = pipe()
    process.on('uncaughtException', (error) => console.log(error.message))
    watchFd(badOut, 1, () => { throw new Error('bad') })
    let calls = 0
    const good = watchFd(goodOut, 1, () => { if (++calls === 50) { console.log('good'); good[Symbol.dispose]() } })
    writeSync(badIn, 'x'); writeSync(goodIn, 'x')
  `)
  assert.deepEqual({ status, lines: stdout.split('\n').toSorted() }, { status: 0, lines: ['', 'bad', 'good'] })
})

test('however many descriptors are watched, the other threads of the pool stay free', async () => {
  const { status, stdout } = await runChild(
    `
    const watches = Array.from({ length: 50 }, () => watchFd(pipe()[0], 1, () => {}))
    setTimeout(async () => {
      console.log((await readFile('/proc/self/comm', 'utf8')).length > 0)
      for (const watch of watches) watch[Symbol.dispose]()
    }, 50)
    `,
    2,
  )
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'true\n' })
})

test('a watch keeps the process running, and only until it is disposed of', async () => {
  const { status, stdout } = await runChild(`
    const [out, into] = pipe()
    const watch = watchFd(out, 1, () => { console.log('ready'); watch[Symbol.dispose]() })
    setTimeout(() => writeSync(into, 'x'), 100).unref()
    process.on('exit', () => console.log('end'))
  `)
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'ready\nend\n' })
})

test('a watch does not hold up process.exit, an uncaught error, or the end of a thread', async () => {
  const exit = await runChild(`watchFd(pipe()[0], 1, () => {}); setTimeout(() => process.exit(3), 50)`)
  assert.equal(exit.status, 3)
  const error = await runChild(`watchFd(pipe()[0], 1, () => {}); setTimeout(() => { throw new Error('bad') }, 50)`)
  assert.equal(error.status, 1)
  const inWorker = `watchFd(ends[0], 1, () => {}); setTimeout(() => parentPort.postMessage(0), 50);`
  const terminated = await runChild(`
    const worker = workerOf(${JSON.stringify(inWorker)})
    worker.on('message', async () => { await worker.terminate(); console.log('terminated') })
  `)
  assert.deepEqual(terminated, { status: 0, stdout: 'terminated\n' })
  const ended = await runChild(`
    workerOf(${JSON.stringify(inWorker)}).on('message', () => process.exit(4))
    watchFd(pipe()[0], 1, () => {})
  `)
  assert.equal(ended.status, 4)
})

test('a thread has a watcher of its own', async () => {
  const { status, stdout } = await runChild(`
    const worker = workerOf(${JSON.stringify(
      'const watch = watchFd(ends[0], 1, () => { watch[Symbol.dispose](); parentPort.postMessage("ready") }); parentPort.once("message", () => process.getBuiltinModule("fs").writeSync(ends[1], "x"));',
    )})
    const watch = watchFd(pipe()[0], 1, () => {})
    worker.on('message', (message) => { console.log(message); watch[Symbol.dispose]() })
    worker.postMessage(0)
  `)
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'ready\n' })
})
