import assert from 'node:assert/strict'
import { link, lstat, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger } from '#/lib/log.ts'
import type { CniOperation, CniReply } from '#/wire/cni/index.ts'
import { CniServer, type CniServerOptions } from './server.ts'

type Handle = (request: CniOperation, signal: AbortSignal) => Promise<CniReply>

let dir: string
let socketPath: string
let spoolDir: string
let logged: string[]
const servers: CniServer[] = []
const ok: Handle = () => Promise.resolve({ kind: 'ok' })

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cni-server-'))
  socketPath = join(dir, 'cni.sock')
  spoolDir = join(dir, 'spool')
  logged = []
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true })
})

async function serve(handle: Handle, options: Partial<CniServerOptions> = {}): Promise<CniServer> {
  const write = (line: string): number => logged.push(line)
  const log = createLogger({ level: 'debug', write, now: () => '' })
  const server = new CniServer({ socketPath, spoolDir, retryMs: 5, graceMs: 500, ...options }, { handle, log })
  servers.push(server)
  await server.start()
  return server
}

function frame(command: string, env: Record<string, string> = {}, config: Record<string, unknown> = {}): string {
  const all = { CNI_COMMAND: command, CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: '/run/netns/a', ...env }
  const block = Object.entries(all)
    .map(([name, value]) => `${name}=${value}\0`)
    .join('')
  const stdin = JSON.stringify({ cniVersion: '1.1.0', name: 'podnet', type: 'causeway', ...config })
  const field = (text: string): string => String(Buffer.byteLength(text)).padStart(8, '0')
  return `causeway-cni 1 ${field(block)} ${field(stdin)}\n${block}${stdin}`
}

/** Sends `bytes` and gives everything that comes back until the end. */
async function exchange(bytes: string, signal?: AbortSignal): Promise<string> {
  const socket = connect(socketPath)
  const { promise, resolve } = Promise.withResolvers<string>()
  let answer = ''
  socket.on('data', (chunk) => (answer += String(chunk)))
  socket.on('close', () => resolve(answer))
  socket.on('error', () => undefined)
  signal?.addEventListener('abort', () => socket.destroy())
  socket.write(bytes)
  return await promise
}

const done = 'causeway-cni 1 00000000 00000000\n'

/** Waits for what happens on the other side of a socket or a directory. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await condition()) return
    await sleep(5)
  }
  assert.fail(`still not so: ${condition}`)
}

describe('answers', () => {
  test('success, error and exception', async () => {
    const replies: Handle[] = [
      () => Promise.resolve({ kind: 'result', result: { interfaces: [], ips: [], routes: [] } }),
      () => Promise.resolve({ kind: 'error', error: { code: 11, msg: 'no address free', details: 'try later' } }),
      () => Promise.reject(new Error('out of luck', { cause: new Error('EBUSY') })),
    ]
    await serve((...call) => replies.shift()!(...call))
    const version = { cniVersion: '1.0.0' }
    assert.match(await exchange(frame('ADD', {}, version)), /^causeway-cni 1 0{8} 0{6}\d\d\n\{"cniVersion":"1\.0\.0",/)
    const refused = await exchange(frame('ADD', {}, version))
    assert.match(refused, /^causeway-cni 1 00000001 \d{8}\n/)
    const error = { cniVersion: '1.0.0', code: 11, msg: 'no address free', details: 'try later' }
    assert.deepEqual(JSON.parse(refused.slice(33)), error)
    const broken = JSON.parse((await exchange(frame('ADD'))).slice(33))
    assert.equal(broken.code, 999)
    assert.equal(broken.msg, 'out of luck: EBUSY')
  })

  test('a request in many pieces', async () => {
    await serve(ok)
    const socket = connect(socketPath)
    const answer = new Promise((resolve) => socket.once('data', (chunk) => resolve(String(chunk))))
    for (const byte of frame('DEL')) {
      socket.write(byte)
      await sleep(0)
    }
    assert.equal(await answer, done)
  })

  test('a malformed request is refused without calling the handler', async () => {
    await serve(() => assert.fail('asked'))
    const codeOf = async (bytes: string): Promise<number> => JSON.parse((await exchange(bytes)).slice(33)).code
    assert.equal(await codeOf(frame('ADD', { CNI_IFNAME: 'a/b' })), 4)
    assert.equal(await codeOf(frame('ADD', {}, { cniVersion: '9.0.0' })), 1)
    assert.equal(await codeOf(`GET / HTTP/1.1\r\n${'x'.repeat(40)}`), 100)
    assert.equal(await codeOf(`causeway-cni 1 00000000 99999999\n${'x'.repeat(100_000)}`), 100)
  })

  test('VERSION needs no handler', async () => {
    await serve(() => assert.fail('asked'))
    const answer = JSON.parse((await exchange(frame('VERSION', {}, { cniVersion: '0.4.0' }))).slice(33))
    assert.deepEqual(answer, { cniVersion: '0.4.0', supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] })
  })
})

describe('callers that go away', () => {
  test('a caller that sends nothing is cut off', async () => {
    await serve(ok, { receiveTimeoutMs: 20 })
    assert.equal(await exchange('causeway-cni 1 '), '')
    assert.match(logged.join('\n'), /no whole request within 20 ms/)
  })

  test('a caller that hangs up in the middle of its request is forgotten at once', async () => {
    await serve(() => assert.fail('asked'), { receiveTimeoutMs: 60_000 })
    const socket = connect(socketPath)
    socket.write(frame('ADD').slice(0, -1), () => socket.destroy())
    await until(() => logged.some((line) => /the client went away after \d+ bytes/.test(line)))
  })

  test("a caller that hangs up while its call runs aborts the call's signal", async () => {
    const fired = Promise.withResolvers<void>()
    const began = Promise.withResolvers<void>()
    await serve(async (_request, signal) => {
      began.resolve()
      signal.addEventListener('abort', () => fired.resolve())
      await fired.promise
      throw signal.reason
    })
    const hangUp = new AbortController()
    const answer = exchange(frame('ADD'), hangUp.signal)
    await began.promise
    hangUp.abort()
    await fired.promise
    assert.equal(await answer, '')
  })
})

describe('order', () => {
  test('calls for one attachment run one by one, calls for others beside them, STATUS at once', async () => {
    const gates = new Map(['ADD c1', 'DEL c1', 'ADD c2'].map((name) => [name, Promise.withResolvers<void>()]))
    const begun: string[] = []
    await serve(async (request) => {
      if (request.kind === 'status') return { kind: 'ok' }
      const name = `${request.kind.toUpperCase()} ${'containerId' in request ? request.containerId : ''}`
      begun.push(name)
      await gates.get(name)?.promise
      return { kind: 'ok' }
    })
    const calls = [exchange(frame('ADD'))]
    await until(() => begun.length === 1)
    calls.push(exchange(frame('DEL')), exchange(frame('ADD', { CNI_CONTAINERID: 'c2' })))
    await until(() => begun.length === 2)
    assert.deepEqual(begun, ['ADD c1', 'ADD c2'])
    assert.equal(await exchange(frame('STATUS')), done)
    for (const { resolve } of gates.values()) resolve()
    assert.deepEqual(await Promise.all(calls), [done, done, done])
    assert.deepEqual(begun, ['ADD c1', 'ADD c2', 'DEL c1'])
  })
})

test('GC runs alone', async () => {
  const gate = Promise.withResolvers<void>()
  const begun: string[] = []
  await serve(async (request) => {
    begun.push(request.kind)
    if (request.kind === 'add') await gate.promise
    return { kind: 'ok' }
  })
  const add = exchange(frame('ADD'))
  await until(() => begun.length === 1)
  const gc = exchange(frame('GC', {}, { 'cni.dev/valid-attachments': [] }))
  await sleep(20)
  assert.deepEqual(begun, ['add'])
  gate.resolve()
  assert.deepEqual(await Promise.all([add, gc]), [done, done])
  assert.deepEqual(begun, ['add', 'gc'])
})

describe('the socket', () => {
  test('is for root alone, and gone afterwards', async () => {
    const server = await serve(ok)
    assert.equal((await lstat(socketPath)).mode & 0o777, 0o600)
    await server[Symbol.asyncDispose]()
    assert.deepEqual(await readdir(dir), ['spool'])
  })

  test('replaces a stale one', async () => {
    const dead = createServer()
    await new Promise<void>((resolve) => dead.listen(join(dir, 'dead'), resolve))
    // what kill -9 leaves behind: the name of a socket nobody listens on
    await link(join(dir, 'dead'), socketPath)
    await new Promise((resolve) => dead.close(resolve))
    assert.ok((await lstat(socketPath)).isSocket())
    await serve(ok)
    assert.equal(await exchange(frame('DEL')), done)
  })

  test('is not taken from a living agent', async () => {
    await serve(ok)
    await assert.rejects(serve(ok), /cni\.sock: another causeway agent answers here; stop it/)
    assert.equal(await exchange(frame('DEL')), done)
    assert.deepEqual((await readdir(dir)).sort(), ['cni.sock', 'spool'])
  })

  test('is not made of a file', async () => {
    await writeFile(socketPath, 'x')
    await assert.rejects(serve(ok), /exists and is no socket/)
  })

  test('is not removed when a later agent has made its own', async () => {
    const first = await serve(ok)
    await rm(socketPath)
    await serve(ok)
    await first[Symbol.asyncDispose]()
    assert.equal(await exchange(frame('DEL')), done)
  })

  test('has a path that is short enough', async () => {
    socketPath = join(dir, 'x'.repeat(90), 'cni.sock')
    await assert.rejects(serve(ok), /too long for a unix socket/)
  })
})

describe('the end', () => {
  test('running calls are answered, waiting ones are cut off', async () => {
    const gate = Promise.withResolvers<CniReply>()
    let begun = 0
    const server = await serve(() => (begun++, gate.promise), { maxConcurrent: 1 })
    const running = exchange(frame('ADD'))
    await until(() => begun === 1)
    const waiting = exchange(frame('ADD', { CNI_CONTAINERID: 'c2' }))
    await sleep(20)
    const end = server[Symbol.asyncDispose]()
    assert.equal(await waiting, '')
    gate.resolve({ kind: 'ok' })
    await end
    assert.equal(await running, done)
    assert.equal(begun, 1)
  })

  test('a call that does not end within the grace is told to stop', async () => {
    const began = Promise.withResolvers<void>()
    let stopped = false
    const server = await serve(
      async (_request, signal) => {
        began.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        stopped = true
        throw signal.reason
      },
      { graceMs: 10 },
    )
    const running = exchange(frame('ADD'))
    await began.promise
    await server[Symbol.asyncDispose]()
    assert.equal(await running, '')
    assert.ok(stopped)
  })
})

describe('the spool', () => {
  const spoolFile = async (containerId: string, content = frame('DEL', { CNI_CONTAINERID: containerId })) => {
    await mkdir(spoolDir, { recursive: true })
    await writeFile(join(spoolDir, `${containerId}:eth0`), content)
  }
  const isEmpty = async (): Promise<boolean> => (await readdir(spoolDir)).length === 0

  test('is drained at start, oldest first', async () => {
    for (const [index, id] of ['c3', 'c1', 'c2'].entries()) {
      await spoolFile(id)
      await utimes(join(spoolDir, `${id}:eth0`), 0, 1000 + index)
    }
    const seen: string[] = []
    await serve(async (request) => {
      assert.ok(request.kind === 'del')
      seen.push(request.containerId)
      return { kind: 'ok' }
    })
    await until(isEmpty)
    assert.deepEqual(seen, ['c3', 'c1', 'c2'])
  })

  test('a request that a shim spools while the agent runs is found too', async () => {
    const seen = Promise.withResolvers<string>()
    await serve(
      async (request) => {
        seen.resolve(request.kind)
        return { kind: 'ok' }
      },
      { lookMs: 20 },
    )
    await spoolFile('c1')
    assert.equal(await seen.promise, 'del')
    await until(isEmpty)
  })

  test('a DEL that fails stays and is tried again', async () => {
    await spoolFile('c1')
    await spoolFile('c2')
    let failures = 3
    await serve(async (request) => {
      if (!('containerId' in request) || request.containerId !== 'c1' || failures === 0) return { kind: 'ok' }
      if (--failures === 1) throw new Error('broken')
      return { kind: 'error', error: { code: 11, msg: 'busy', details: '' } }
    })
    await until(isEmpty)
    assert.equal(failures, 0)
  })

  test('an ADD of the same attachment comes after the spooled DEL', async () => {
    const seen: string[] = []
    const first = Promise.withResolvers<void>()
    await serve(
      async (request) => {
        seen.push(request.kind)
        if (seen.length > 1) return { kind: 'ok' }
        first.resolve()
        return { kind: 'error', error: { code: 11, msg: 'busy', details: '' } }
      },
      { retryMs: 60_000 },
    )
    // as a shim leaves it when the agent came up between its two tries and failed
    await spoolFile('c1')
    const refused = JSON.parse((await exchange(frame('ADD'))).slice(33))
    assert.equal(refused.code, 11)
    assert.match(refused.msg, /earlier DEL/)
    assert.equal(await exchange(frame('ADD')), done)
    assert.deepEqual(seen, ['del', 'del', 'add'])
    assert.ok(await isEmpty())
    const calls = logged.map((line) => JSON.parse(line) as Record<string, string>)
    assert.deepEqual(
      calls.map(({ level, message, command }) => `${level} ${message} ${command}`),
      ['warn cni call failed del', 'warn cni call failed add', 'info cni call done del', 'info cni call done add'],
      'each call is logged once',
    )
  })

  test('a spooled file that is no DEL of that name is removed, with an error in the log', async () => {
    await spoolFile('c1', 'causeway-cni 1 000')
    await spoolFile('c2', frame('ADD', { CNI_CONTAINERID: 'c2' }))
    await spoolFile('c3', frame('DEL', { CNI_CONTAINERID: 'c4' }))
    await spoolFile('c5', frame('DEL', { CNI_CONTAINERID: 'c5' }, { cniVersion: '9' }))
    await serve(() => assert.fail('asked'))
    await until(isEmpty)
    assert.equal(logged.filter((line) => line.includes('removed unread')).length, 4)
  })

  test('half-written files are left alone until they are surely abandoned', async () => {
    await mkdir(spoolDir)
    await writeFile(join(spoolDir, '.1.2.3'), '')
    await writeFile(join(spoolDir, '.4.5.6'), '')
    await utimes(join(spoolDir, '.4.5.6'), 0, 0)
    await serve(ok)
    await until(async () => (await readdir(spoolDir)).join(' ') === '.1.2.3')
  })

  test('an unreadable entry is an error answer, not a lost caller', async () => {
    await mkdir(join(spoolDir, 'c1:eth0'), { recursive: true })
    await serve(ok, { retryMs: 60_000 })
    assert.match(await exchange(frame('ADD')), /"code":11.*cannot use spooled request c1:eth0/)
  })
})
