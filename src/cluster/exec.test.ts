// Exec over real WebSockets, against a server that does as each test says.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import fc from 'fast-check'
import { type WebSocket, WebSocketServer } from 'ws'
import { messageOf } from '#/lib/log.ts'
import { type ApiClient } from './client.ts'
import { clientFor } from './connect.ts'
import type { ServerConfig } from './config.ts'
import { ApiError, ApiUnreachable } from './errors.ts'
import { ExecError, execIn, type ExecStream } from './exec.ts'
import { execMessage } from './remote-command.ts'
import { eventually } from './testing/manual-clock.ts'
import { FakeApi, sendJson, type UpgradeHandler } from './testing/fake-api.ts'

const target = { namespace: 'sys', pod: 'a', container: 'c', command: ['cat', '-'] }
const success = JSON.stringify({ metadata: {}, status: 'Success' })

function exited(code: number): string {
  const details = { causes: [{ reason: 'ExitCode', message: String(code) }] }
  return JSON.stringify({ status: 'Failure', reason: 'NonZeroExitCode', message: 'exit', details })
}

function tell(socket: WebSocket, channel: number, what: string | Uint8Array): void {
  socket.send(execMessage(Buffer.from(what), channel))
}

/** Accepts WebSockets with this protocol. */
function accepting(serve: (socket: WebSocket, request: IncomingMessage) => void, protocol = 'v5.channel.k8s.io') {
  const server = new WebSocketServer({ noServer: true, handleProtocols: () => protocol })
  const upgrade: UpgradeHandler = (request, socket, head) =>
    server.handleUpgrade(request, socket, head, (accepted) => serve(accepted, request))
  return upgrade
}

async function withApi(
  upgrade: UpgradeHandler,
  use: (client: ApiClient, api: FakeApi) => Promise<void>,
  config: Partial<ServerConfig> = {},
): Promise<void> {
  await using api = await FakeApi.start((_request, response) => sendJson(response, {}), { upgrade })
  await using client = await clientFor({ ...api.config, ...config })
  await use(client, api)
}

async function failureOf(stream: ExecStream): Promise<Error> {
  try {
    await text(stream)
  } catch (error) {
    return error as Error
  }
  return assert.fail('it has not failed')
}

test('what is written is the input of the command, what it writes is read, and its end ends the stream', async () => {
  const asked: (string | undefined)[] = []
  const upgrade = accepting((socket, request) => {
    asked.push(request.url, request.headers['sec-websocket-protocol'])
    for (const channel of [1, 2, 3]) tell(socket, channel, '')
    let heard = ''
    socket.on('message', (data: Buffer) => {
      assert.equal(data[0], 0)
      heard += String(data.subarray(1))
      if (!heard.endsWith('.')) return
      tell(socket, 1, `heard ${heard}`)
      tell(socket, 2, 'a warning')
      tell(socket, 3, success)
      socket.close(1000)
    })
  })
  await withApi(upgrade, async (client) => {
    const stream = await execIn(client, target)
    stream.write('one, ')
    stream.write('two.')
    assert.equal(await text(stream), 'heard one, two.')
  })
  assert.deepEqual(asked, [
    '/api/v1/namespaces/sys/pods/a/exec?container=c&command=cat&command=-&stdin=true&stdout=true&stderr=true',
    'v5.channel.k8s.io,v4.channel.k8s.io',
  ])
})

test('a server that knows only the older protocol is spoken to in that', async () => {
  const upgrade = accepting((socket) => {
    assert.equal(socket.protocol, 'v4.channel.k8s.io')
    tell(socket, 1, 'hello')
    tell(socket, 3, success)
    socket.close(1000)
  }, 'v4.channel.k8s.io')
  await withApi(upgrade, async (client) => assert.equal(await text(await execIn(client, target)), 'hello'))
})

test('output that comes after the status is read too, and so is a status in pieces', async () => {
  const upgrade = accepting((socket) => {
    tell(socket, 3, success.slice(0, 9))
    tell(socket, 3, success.slice(9))
    tell(socket, 255, Uint8Array.of(1))
    tell(socket, 1, 'late')
    socket.close(1000)
  })
  await withApi(upgrade, async (client) => assert.equal(await text(await execIn(client, target)), 'late'))
})

test('a server that does not close the connection after the status does not hold up the end', async () => {
  const upgrade = accepting((socket) => {
    tell(socket, 1, 'all')
    tell(socket, 3, success)
  })
  await withApi(upgrade, async (client) => assert.equal(await text(await execIn(client, target)), 'all'))
})

test('much output waits for its reader, and nothing of it is lost', async () => {
  const piece = Buffer.alloc(32 << 10, 'x')
  let buffered = 0
  const upgrade = accepting((socket) => {
    for (let sent = 0; sent < 1500; sent++) tell(socket, 1, piece)
    tell(socket, 3, success)
    buffered = socket.bufferedAmount
    socket.close(1000)
  })
  await withApi(upgrade, async (client) => {
    const stream = await execIn(client, target)
    stream.once('readable', () => {})
    await eventually(() => stream.readableLength > 0, 'the first of it')
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.ok(stream.readableLength < 1 << 20, `${stream.readableLength} bytes are held`)
    assert.ok(buffered > 0)
    let bytes = 0
    for await (const chunk of stream as AsyncIterable<Uint8Array>) bytes += chunk.length
    assert.equal(bytes, 1500 * piece.length)
  })
})

test('a command that fails is told with what it wrote to standard error', async () => {
  const cases: [string, string, Partial<ExecError>][] = [
    [exited(1), 'no such socket\n', { message: 'no such socket' }],
    [exited(2), '', { message: 'exit status 2' }],
    [
      JSON.stringify({ status: 'Failure', reason: 'InternalError', message: 'exec: "cat": executable file not found' }),
      '',
      { message: 'exec: "cat": executable file not found' },
    ],
    ['no status at all', '', { message: 'no status at all' }],
  ]
  for (const [status, stderr, wanted] of cases) {
    const upgrade = accepting((socket) => {
      tell(socket, 3, status)
      tell(socket, 2, stderr)
      socket.close(1000)
    })
    await withApi(upgrade, async (client) => {
      const error = await failureOf(await execIn(client, target))
      assert.ok(error instanceof ExecError && error.status !== undefined)
      assert.equal(error.message, wanted.message)
    })
  }
})

test('a connection that is lost midway is told, however it is lost', async () => {
  const ways: [(socket: WebSocket) => void, RegExp][] = [
    [(socket) => socket.terminate(), /^the connection through the API server was lost \(1006\)$/],
    [(socket) => socket.close(1011, 'kubelet\nwent away'), /was lost \(1011: kubelet went away\)$/],
    [(socket) => socket.close(1000), /was lost \(1000\)$/],
  ]
  for (const [lose, words] of ways) {
    const upgrade = accepting((socket) => {
      tell(socket, 1, 'half')
      lose(socket)
    })
    await withApi(upgrade, async (client) => {
      const error = await failureOf(await execIn(client, target))
      assert.ok(error instanceof ExecError)
      assert.match(error.message, words)
    })
  }
})

/** Switches protocols and then writes these bytes, whatever they are. */
function writing(bytes: Uint8Array): UpgradeHandler {
  return (request: IncomingMessage, socket: Duplex) => {
    const key = String(request.headers['sec-websocket-key'])
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
    const fields = [`Sec-WebSocket-Accept: ${accept}`, 'Sec-WebSocket-Protocol: v5.channel.k8s.io', '', '']
    socket.on('error', () => {})
    socket.write([...head, ...fields].join('\r\n'))
    socket.end(bytes)
  }
}

test('frames that are none end the stream with an error, and nothing else', async () => {
  const frames: [string, number[], RegExp][] = [
    ['a text', [0x81, 2, 1, 0x41], /^the API server sent text where bytes were agreed on$/],
    ['no channel', [0x82, 0], /sent a message without a channel$/],
    ['an unknown channel', [0x82, 2, 9, 0x41], /sent a message for channel 9/],
    ['a masked frame', [0x82, 0x82, 1, 2, 3, 4, 5, 6], /^the connection broke: .*MASK must be clear/],
    ['reserved bits', [0xf2, 1, 1], /^the connection broke: .*RSV/],
    ['a length of 2^63', [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], /^the connection broke: .*(length|payload)/i],
    ['more than may come', [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0], /^the connection broke: Max payload size exceeded/],
    ['half a frame', [0x82, 9, 1], /was lost \(1006\)$/],
  ]
  for (const [name, bytes, words] of frames)
    await withApi(writing(Uint8Array.from(bytes)), async (client) => {
      const error = await failureOf(await execIn(client, target))
      assert.ok(error instanceof ExecError, name)
      assert.match(error.message, words, name)
    })
})

test('whatever bytes come after the head, the stream ends, or fails in words of one line', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
      await withApi(writing(bytes), async (client) => {
        const error = await failureOf(await execIn(client, target))
        assert.ok(error instanceof ExecError)
        assert.doesNotMatch(error.message, /\p{Cc}/u)
      })
    }),
    { numRuns: 60 },
  )
})

function refusing(code: number, reason: string, message: string): UpgradeHandler {
  const body = JSON.stringify({ kind: 'Status', status: 'Failure', code, reason, message })
  return (_request, socket) => {
    socket.end(`HTTP/1.1 ${code} No\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  }
}

test('a refusal is the error that the API server gives', async () => {
  await withApi(refusing(403, 'Forbidden', 'pods "a" is forbidden: no'), async (client) => {
    await assert.rejects(execIn(client, target), (error) => {
      assert.ok(error instanceof ApiError)
      assert.equal(error.code, 403)
      assert.equal(error.detail, 'pods "a" is forbidden: no')
      assert.match(error.message, /^GET http:\S+\/pods\/a\/exec: 403 Forbidden: /)
      return true
    })
  })
})

test('a refusal leaves no connection behind, also where the server would keep it', async () => {
  const closed = Promise.withResolvers<void>()
  const body = JSON.stringify({ kind: 'Status', status: 'Failure', code: 500, message: 'error dialing backend' })
  const keeping: UpgradeHandler = (_request, socket) => {
    socket.on('end', () => closed.resolve())
    socket.resume()
    socket.write(`HTTP/1.1 500 No\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  }
  await withApi(keeping, async (client) => {
    await assert.rejects(execIn(client, target), /error dialing backend/)
    await closed.promise
  })
})

test('an answer that is no WebSocket at all is told', async () => {
  const nonsense: UpgradeHandler = (_request, socket) => socket.end('220 mail.example ESMTP\r\n')
  await withApi(nonsense, async (client) => {
    await assert.rejects(execIn(client, target), (error) => error instanceof ApiUnreachable && messageOf(error) !== '')
  })
  const wrongProtocol = accepting(() => {}, 'v1.channel.k8s.io')
  await withApi(wrongProtocol, async (client) => {
    await assert.rejects(execIn(client, target), (error) => /invalid subprotocol/.test(messageOf(error)))
  })
})

test('an API server that is busy is asked again', async () => {
  let tries = 0
  const accept = accepting((socket) => {
    tell(socket, 3, success)
    socket.close(1000)
  })
  const upgrade: UpgradeHandler = (request, socket, head) =>
    (tries++ === 0 ? refusing(429, 'TooManyRequests', 'later') : accept)(request, socket, head)
  await withApi(upgrade, async (client) => assert.equal(await text(await execIn(client, target)), ''))
  assert.equal(tries, 2)
})

test('who gives up before the server answers, or later, is let go at once', async () => {
  const never: UpgradeHandler = () => {}
  await withApi(never, async (client, api) => {
    const enough = new AbortController()
    const opening = execIn(client, target, enough.signal)
    setTimeout(() => enough.abort(new Error('enough')), 20)
    await assert.rejects(opening, /^Error: enough$/)
    api.cut()
  })
  const closed = Promise.withResolvers<void>()
  const silent = accepting((socket) => socket.on('close', () => closed.resolve()))
  await withApi(silent, async (client) => {
    const stream = await execIn(client, target)
    stream.destroy()
    await once(stream, 'close')
    await closed.promise
  })
})

test('silence is told as sockets tell it', async () => {
  const silent = accepting((socket) => tell(socket, 1, 'a word'))
  await withApi(silent, async (client) => {
    const stream = await execIn(client, target)
    stream.setTimeout(60)
    stream.resume()
    await once(stream, 'timeout')
    stream.destroy()
  })
})
