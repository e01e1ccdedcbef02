// The shim that runtimes execute, against the agent's CNI server and against servers that misbehave.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, afterEach, beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { CniServer, type CniServerDeps } from '#/agent/cni/server.ts'
import { silent } from '#/lib/log.ts'
import { type CniOperation, type CniReply, cniVersions, decodeRequest, parseCniRequest } from '#/wire/cni/index.ts'

const buildDir = mkdtempSync(join(tmpdir(), 'cni-shim-build-'))
after(() => rmSync(buildDir, { recursive: true }))
const shim = join(buildDir, 'causeway-cni')
execFileSync('gcc', ['-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror', '-o', shim, 'native/cni-shim.c'])

let dir: string
let socketPath: string
let spoolDir: string
const servers: AsyncDisposable[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cni-shim-'))
  socketPath = join(dir, 'cni.sock')
  spoolDir = join(dir, 'a', 'spool')
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true })
})

const config = { cniVersion: '1.1.0', name: 'podnet', type: 'causeway' }
const prevResult = { cniVersion: '1.1.0', ips: [{ address: '10.244.0.5/24' }] }

/** `stdin` null: it stays open. */
type Call = { readonly env?: Record<string, string>; readonly stdin?: string | Uint8Array | null }
type Outcome = { readonly status: number | null; readonly stdout: string; readonly ms: number }

function start(command: string, { env = {}, stdin = JSON.stringify({ ...config, prevResult }) }: Call): ChildProcess {
  const child = spawn(shim, [], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c1',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: '/run/netns/a',
      CAUSEWAY_CNI_SOCKET: socketPath,
      CAUSEWAY_CNI_SPOOL: spoolDir,
      CAUSEWAY_CNI_WAIT_MS: '150',
      CAUSEWAY_CNI_TIMEOUT_MS: '60000',
      ...env,
    },
  })
  // the shim may end before it has read everything
  child.stdin?.on('error', () => undefined)
  if (stdin !== null) child.stdin?.end(stdin)
  return child
}

async function exec(command: string, call: Call = {}): Promise<Outcome> {
  const started = performance.now()
  const child = start(command, call)
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const stdout = await text(child.stdout!)
  const status = await ended
  child.stdin?.destroy()
  return { status, stdout, ms: performance.now() - started }
}

async function serve(handle: CniServerDeps['handle'], options: { graceMs?: number } = {}): Promise<CniServer> {
  const server = new CniServer({ socketPath, spoolDir, graceMs: 500, ...options }, { handle, log: silent })
  servers.push(server)
  await server.start()
  return server
}

const ok = (): Promise<CniReply> => Promise.resolve({ kind: 'ok' })

/** A server that does to its n-th connection what `behave` says. */
async function serveRaw(behave: (socket: Socket, n: number) => void) {
  let connections = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    behave(socket, connections++)
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  return {
    count: () => connections,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function cut(socket: Socket, answer: string): void {
  socket.once('data', () => socket.write(answer, () => socket.destroy()))
}

function fails(outcome: Outcome, code: number, message: RegExp): void {
  const error = JSON.parse(outcome.stdout)
  assert.equal(outcome.status, 1)
  assert.equal(error.cniVersion, '1.1.0')
  assert.equal(error.code, code)
  assert.match(`${error.msg}: ${error.details}`, message)
}

const succeeds = ({ status, stdout }: Outcome): void => assert.deepEqual({ status, stdout }, { status: 0, stdout: '' })

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    assert.ok(tries < 1000, `still not so: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function spooled(): Promise<string[]> {
  return await readdir(spoolDir).catch(() => [])
}

describe('with an agent', () => {
  test('every verb reaches it and its answer comes out', async () => {
    const seen: string[] = []
    await serve(async (request) => {
      seen.push(request.kind)
      if (request.kind !== 'add') return { kind: 'ok' }
      return { kind: 'result', result: { interfaces: [{ name: 'eth0', sandbox: request.netns }], ips: [], routes: [] } }
    })
    const add = await exec('ADD')
    assert.equal(add.status, 0)
    assert.deepEqual(JSON.parse(add.stdout).interfaces, [{ name: 'eth0', sandbox: '/run/netns/a' }])
    for (const command of ['CHECK', 'STATUS', 'GC', 'DEL']) succeeds(await exec(command))
    assert.deepEqual(seen, ['add', 'check', 'status', 'gc', 'del'])
    const version = await exec('VERSION', { stdin: '{"cniVersion":"1.0.0"}' })
    assert.deepEqual(JSON.parse(version.stdout), { cniVersion: '1.0.0', supportedVersions: cniVersions })
    assert.deepEqual(await spooled(), [])
  })

  test('an error comes out with status 1', async () => {
    const error = { code: 3, msg: 'unknown "container"', details: 'gone' }
    await serve(() => Promise.resolve({ kind: 'error', error }))
    for (const command of ['ADD', 'DEL', 'STATUS']) fails(await exec(command), 3, /unknown "container": gone/)
    assert.deepEqual(await spooled(), [])
  })

  test('it gets CNI_* and the trace context, and nothing else', async () => {
    const frame = Promise.withResolvers<Uint8Array>()
    await using _ = await serveRaw((socket) => socket.once('data', (bytes) => frame.resolve(Buffer.from(bytes))))
    const child = start('ADD', { env: { TRACEPARENT: 'tp', TRACESTATE: 'ts', BAGGAGE: 'b', SECRET: 's', CNI_OWN: '' } })
    const { env } = decodeRequest(await frame.promise)
    child.kill('SIGKILL')
    const expected = 'BAGGAGE CNI_COMMAND CNI_CONTAINERID CNI_IFNAME CNI_NETNS CNI_OWN TRACEPARENT TRACESTATE'
    assert.equal([...env.keys()].sort().join(' '), expected)
  })

  test('a runtime that kills the shim is noticed', async () => {
    const began = Promise.withResolvers<void>()
    const hungUp = Promise.withResolvers<void>()
    await serve(async (_request, signal) => {
      signal.addEventListener('abort', () => hungUp.resolve())
      began.resolve()
      await hungUp.promise
      return { kind: 'ok' }
    })
    const child = start('ADD', {})
    await began.promise
    child.kill('SIGKILL')
    await hungUp.promise
  })

  test('two calls for one container run one after the other', async () => {
    let running = 0
    let most = 0
    await serve(async () => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 30))
      running--
      return { kind: 'ok' }
    })
    for (const outcome of await Promise.all([exec('ADD'), exec('ADD'), exec('DEL')])) succeeds(outcome)
    assert.equal(most, 1)
  })

  test('a hundred at once', async () => {
    const seen = new Set<string>()
    await serve(async (request) => {
      if ('containerId' in request) seen.add(request.containerId)
      return { kind: 'ok' }
    })
    const ids = Array.from({ length: 100 }, (_each, index) => `c${index}`)
    const outcomes = await Promise.all(ids.map((id) => exec('ADD', { env: { CNI_CONTAINERID: id } })))
    outcomes.forEach(succeeds)
    assert.equal(seen.size, 100)
  })
})

describe('what comes in', () => {
  const padded = (bytes: number): string =>
    `${JSON.stringify({ ...config, prevResult })}${' '.repeat(bytes)}`.slice(0, bytes)

  test('a configuration of 1 MiB goes through', async () => {
    await serve(ok)
    succeeds(await exec('ADD', { stdin: padded(1 << 20) }))
  })
  test('one byte more does not', async () => {
    fails(await exec('ADD', { stdin: padded((1 << 20) + 1) }), 7, /configuration too large: stdin: above 1 MiB/)
  })
  test('bytes come through as they are', async () => {
    await serve(ok)
    fails(await exec('ADD', { stdin: Uint8Array.of(0x22, 0xff, 0x00, 0x22) }), 6, /cannot decode/)
  })
  test('too much environment is refused', async () => {
    const env = Object.fromEntries(['A', 'B', 'C'].map((name) => [`CNI_${name}`, 'x'.repeat(100_000)]))
    fails(await exec('ADD', { env }), 4, /environment too large/)
  })
  test('no command', async () => fails(await exec(''), 4, /CNI_COMMAND missing/))
  test('a configuration that never ends', async () => {
    const env = { CAUSEWAY_CNI_TIMEOUT_MS: '50' }
    fails(await exec('ADD', { stdin: null, env }), 11, /did not answer in time/)
  })
})

describe('without an agent', () => {
  test('ADD and CHECK wait, then say try again; STATUS waits, then says that there is none', async () => {
    const codes = { ADD: 11, CHECK: 11, STATUS: 50 }
    const runs = Object.entries(codes).map(async ([command, code]) => {
      const outcome = await exec(command)
      fails(outcome, code, /agent not reachable: .*cni\.sock: No such file/)
      assert.ok(outcome.ms >= 150, `${command} waited ${outcome.ms} ms`)
    })
    await Promise.all(runs)
  })
  test('ADD and STATUS wait for an agent that comes', async () => {
    const env = { CAUSEWAY_CNI_WAIT_MS: '50000' }
    const calls = [exec('ADD', { env }), exec('STATUS', { env })]
    await new Promise((resolve) => setTimeout(resolve, 100))
    await serve(ok)
    for (const outcome of await Promise.all(calls)) succeeds(outcome)
  })
  test('GC and VERSION do not wait', async () => {
    const env = { CAUSEWAY_CNI_WAIT_MS: '60000' }
    fails(await exec('GC', { env }), 11, /agent not reachable/)
    const { status, stdout } = await exec('VERSION', { env })
    assert.equal(status, 0)
    assert.deepEqual(JSON.parse(stdout), { cniVersion: '1.1.0', supportedVersions: cniVersions })
  })
  test('a path with quotes does not break the JSON', async () => {
    const env = { CAUSEWAY_CNI_SOCKET: `${dir}/"\\\n` }
    fails(await exec('STATUS', { env }), 50, /agent not reachable: .*\/\?\?\?: No such file/)
  })
  test('a path that is too long', async () => {
    const env = { CAUSEWAY_CNI_SOCKET: `/${'x'.repeat(5000)}` }
    fails(await exec('STATUS', { env }), 50, /File name too long|xxx/)
  })
})

describe('STATUS without an agent that was ready a short while ago', () => {
  const secondsSinceBoot = (): number => Math.floor(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]))
  const mark = (content: string): Promise<void> => writeFile(`${socketPath}.ready`, content)

  test('succeeds for as long as an upgrade may take, and fails after that', async () => {
    await mark(`${secondsSinceBoot() - 20}\n`)
    succeeds(await exec('STATUS', { env: { CAUSEWAY_CNI_WAIT_MS: '60000' } }))
    fails(await exec('STATUS', { env: { CAUSEWAY_CNI_ABSENCE_MS: '10000' } }), 50, /agent not reachable/)
    fails(await exec('ADD'), 11, /agent not reachable/)
  })
  test('is not moved by what no agent writes', async () => {
    for (const content of [
      '',
      '\n',
      '12',
      'soon\n',
      '-1\n',
      `${secondsSinceBoot() + 1000}\n`,
      `${'9'.repeat(40)}\n`,
      '0x1\n',
    ]) {
      await mark(content)
      fails(await exec('STATUS'), 50, /agent not reachable/)
    }
  })
  test('an agent that hangs or breaks off is like one that is away; what an agent answers counts', async () => {
    await mark(`${secondsSinceBoot()}\n`)
    const error = { code: 50, msg: 'no', details: 'network' }
    const server = await serve(() => Promise.resolve({ kind: 'error', error }))
    fails(await exec('STATUS'), 50, /no: network/)
    await server[Symbol.asyncDispose]()
    {
      await using _ = await serveRaw((socket) => void socket.resume())
      succeeds(await exec('STATUS', { env: { CAUSEWAY_CNI_TIMEOUT_MS: '300' } }))
    }
    await using _ = await serveRaw((socket) => cut(socket, ''))
    succeeds(await exec('STATUS'))
  })
})

describe('DEL without an agent', () => {
  test('is kept and succeeds at once; the next agent carries it out', async () => {
    const outcome = await exec('DEL', { env: { CAUSEWAY_CNI_WAIT_MS: '60000' } })
    succeeds(outcome)
    assert.deepEqual(await spooled(), ['c1:eth0'])
    const path = join(spoolDir, 'c1:eth0')
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await stat(dirname(path))).mode & 0o777, 0o700)
    const { env, stdin } = decodeRequest(await readFile(path))
    assert.equal(parseCniRequest(env, stdin).kind, 'del')

    const deleted = Promise.withResolvers<CniOperation>()
    await serve((request) => (deleted.resolve(request), ok()))
    const request = await deleted.promise
    assert.ok(request.kind === 'del')
    assert.equal(request.containerId, 'c1')
    await until(async () => (await spooled()).length === 0)
  })
  test('twice for one attachment is one file', async () => {
    await Promise.all(Array.from({ length: 10 }, () => exec('DEL')))
    assert.deepEqual(await spooled(), ['c1:eth0'])
  })
  test('takes its file back when the second try is answered', async () => {
    const answers = ['causeway-cni 1 0', 'causeway-cni 1 00000001 00000003\n{}\n']
    await using _ = await serveRaw((socket, n) => cut(socket, answers[n]!))
    const { status, stdout } = await exec('DEL')
    assert.deepEqual({ status, stdout }, { status: 1, stdout: '{}\n' })
    assert.deepEqual(await spooled(), [])
  })
  for (const [name, value] of [
    ['CNI_CONTAINERID', '../../escaped'],
    ['CNI_CONTAINERID', '.hidden'],
    ['CNI_CONTAINERID', ''],
    ['CNI_CONTAINERID', 'x'.repeat(201)],
    ['CNI_IFNAME', '../x'],
    ['CNI_IFNAME', 'x'.repeat(16)],
    ['CNI_IFNAME', ''],
  ] as const) {
    test(`is refused with ${name}=${value.slice(0, 20)}`, async () => {
      fails(await exec('DEL', { env: { [name]: value } }), 4, /invalid CNI_CONTAINERID or CNI_IFNAME/)
      assert.deepEqual(await readdir(dir), [])
    })
  }
  test('is refused when 4096 wait already, so that the runtime comes again', async () => {
    mkdirSync(spoolDir, { recursive: true })
    for (let index = 0; index < 4096; index++) writeFileSync(join(spoolDir, `x${index}:eth0`), '')
    fails(await exec('DEL'), 11, /cannot be kept: .*4096 requests waiting/)
    rmSync(join(spoolDir, 'x0:eth0'))
    succeeds(await exec('DEL'))
  })
  test('is refused when the spool cannot be made', async () => {
    writeFileSync(dirname(spoolDir), 'a file in the way')
    fails(await exec('DEL'), 11, /cannot be kept: .*Not a directory/)
  })
})

test('no DEL is lost while agents come and go', async () => {
  const deleted = new Set<string>()
  const handle = async (request: CniOperation, signal: AbortSignal): Promise<CniReply> => {
    await new Promise((resolve) => setTimeout(resolve, 10))
    signal.throwIfAborted()
    if (request.kind === 'del') deleted.add(request.containerId)
    return { kind: 'ok' }
  }
  const ids = Array.from({ length: 80 }, (_each, index) => `c${index}`)
  const calls = ids.map(async (id, index) => {
    await new Promise((resolve) => setTimeout(resolve, index * 8))
    return await exec('DEL', { env: { CNI_CONTAINERID: id } })
  })
  const over = new AbortController()
  const restarts = (async () => {
    while (!over.signal.aborted) {
      const server = await serve(handle, { graceMs: 5 })
      await new Promise((resolve) => setTimeout(resolve, 15))
      await server[Symbol.asyncDispose]()
    }
  })()
  const outcomes = await Promise.all(calls)
  over.abort()
  await restarts
  await serve(handle)
  await until(async () => (await spooled()).length === 0)
  // an agent that had to abort says so, and the runtime comes again
  const accepted = ids.filter((_id, index) => outcomes[index]?.status === 0)
  assert.deepEqual(
    accepted.filter((id) => !deleted.has(id)),
    [],
  )
  assert.ok(accepted.length > 0, `only ${accepted.length} of 80 accepted`)
})

describe('an agent that breaks off', () => {
  const whole = 'causeway-cni 1 00000000 00000010\n{"a":"b"}\n'
  const broken = [
    '',
    'causeway-cni',
    whole.slice(0, 33),
    whole.slice(0, -1),
    `${whole}more`,
    'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n',
    'causeway-cni 1 00000002 00000000\n',
    'causeway-cni 2 00000000 00000000\n',
    'causeway-cni 1 -0000001 00000000\n',
    'causeway-cni 1 00000000 99999999\n',
  ]
  for (const answer of broken) {
    test(`after ${JSON.stringify(answer.slice(-45))} has not answered`, async () => {
      await using server = await serveRaw((socket) => cut(socket, answer))
      fails(await exec('GC'), 11, /agent broke off/)
      assert.equal(server.count(), 1)
      fails(await exec('STATUS'), 50, /agent broke off/)
      succeeds(await exec('DEL'))
      assert.deepEqual(await spooled(), ['c1:eth0'])
    })
  }
  test('or says anything at all: the shim tells the runtime what the agent said, or that it broke off', async () => {
    const anything = fc.oneof(
      fc.string({ unit: 'binary' }),
      // a whole one with some bytes cut out, and others put there
      fc
        .tuple(fc.nat(whole.length), fc.nat(8), fc.string({ unit: 'binary', maxLength: 8 }))
        .map(([at, removed, put]) => whole.slice(0, at) + put + whole.slice(at + removed)),
    )
    const check = async (answer: string): Promise<void> => {
      await using _ = await serveRaw((socket) => cut(socket, answer))
      const { status, stdout } = await exec('GC')
      const said = /^causeway-cni 1 0000000([01]) (\d{8})\n([^]*)$/.exec(answer)
      const isWhole = said !== null && Number(said[2]) === Buffer.byteLength(said[3]!)
      if (isWhole) assert.deepEqual([status, stdout], [Number(said[1]), said[3]])
      else assert.deepEqual([status, (JSON.parse(stdout) as { code: number }).code], [1, 11])
    }
    await fc.assert(fc.asyncProperty(anything, check), { numRuns: 100 })
  })
  test('gets an ADD three times at most', async () => {
    await using server = await serveRaw((socket) => cut(socket, whole.slice(0, -1)))
    fails(await exec('ADD'), 11, /agent broke off/)
    assert.equal(server.count(), 3)
  })
  test('and comes back gets the ADD again', async () => {
    await using _ = await serveRaw((socket, n) => cut(socket, n === 0 ? '' : whole))
    const { status, stdout } = await exec('ADD')
    assert.deepEqual({ status, stdout }, { status: 0, stdout: '{"a":"b"}\n' })
  })
  test('because it stops makes calls wait for the next agent, the one that ran and the one that waited', async () => {
    const began = Promise.withResolvers<void>()
    const first = await serve(
      async (_request, signal) => {
        began.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw signal.reason
      },
      { graceMs: 20 },
    )
    const env = { CAUSEWAY_CNI_WAIT_MS: '5000' }
    const running = exec('ADD', { env })
    await began.promise
    const waiting = exec('CHECK', { env })
    await new Promise((resolve) => setTimeout(resolve, 50))
    await first[Symbol.asyncDispose]()
    await serve(ok)
    for (const outcome of await Promise.all([running, waiting])) succeeds(outcome)
  })
})

describe('an agent that hangs', () => {
  const env = { CAUSEWAY_CNI_TIMEOUT_MS: '60' }
  test('is waited for as long as agreed', async () => {
    await using _ = await serveRaw(() => undefined)
    for (const command of ['ADD', 'DEL', 'GC']) fails(await exec(command, { env }), 11, /agent did not answer in time/)
    fails(await exec('STATUS', { env }), 50, /agent did not answer in time/)
    assert.deepEqual(JSON.parse((await exec('VERSION', { env })).stdout).supportedVersions, cniVersions)
    assert.deepEqual(await spooled(), [])
  })
  test('and trickles is not waited for longer', async () => {
    await using _ = await serveRaw((socket) => {
      const timer = setInterval(() => socket.write('c'), 10)
      socket.on('close', () => clearInterval(timer))
    })
    fails(await exec('ADD', { env }), 11, /agent did not answer in time/)
  })
})
