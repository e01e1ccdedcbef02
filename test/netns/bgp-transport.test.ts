// The speaker's TCP against the kernel: passwords, TTL security, devices, errors in words, back-pressure.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { TcpTransport } from '#/agent/bgp/transport.ts'
import { type Connection, type ConnectOptions, type Listener } from '#/bgp/contract.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Host, Lan } from '../interop/bgp/lan.ts'
import { eventually } from '../interop/bgp/eventually.ts'

const port = 179
const transport = new TcpTransport({ log: silent })
const never = new AbortController().signal

/** What a connection has told so far. */
class Told {
  readonly connection: Connection
  readonly closed: Promise<Error | undefined>
  text = ''
  bytes = 0
  drains = 0

  constructor(connection: Connection) {
    this.connection = connection
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    this.closed = promise
    connection.handlers = {
      onData: (bytes) => {
        this.bytes += bytes.length
        this.text = (this.text + Buffer.from(bytes).toString('latin1')).slice(0, 1000)
      },
      onDrain: () => this.drains++,
      onClose: resolve,
    }
  }

  async hears(text: string): Promise<void> {
    await eventually(
      `"${text}" arrives`,
      () => this.text,
      (seen) => seen === text,
    )
  }
}

class Server implements Disposable {
  readonly listener: Listener
  readonly #accepted: Told[] = []
  #given = 0

  constructor(host: Host, onConnection: (connection: Connection) => void = () => {}) {
    this.listener = host.ns.netns.run(() =>
      transport.listen(port, (connection) => {
        onConnection(connection)
        this.#accepted.push(new Told(connection))
      }),
    )
  }

  /** The next one that was accepted. */
  async next(): Promise<Told> {
    const index = this.#given++
    await eventually(
      'a connection is accepted',
      () => this.#accepted.length,
      (length) => length > index,
    )
    return this.#accepted[index]!
  }

  [Symbol.dispose](): void {
    this.listener.close()
    for (const { connection } of this.#accepted) connection.destroy()
  }
}

type Options = Partial<Omit<ConnectOptions, 'addr'>> & { readonly addr: string }

function connect(host: Host, { addr, ...more }: Options, signal = never): Promise<Connection> {
  return host.ns.netns.run(() => transport.connect({ addr: Addr.parse(addr), port, ...more }, signal))
}

async function failure(host: Host, options: Options): Promise<string> {
  const outcome = await connect(host, options).then(
    (connection) => connection.destroy(),
    (error: Error) => error,
  )
  assert.ok(outcome instanceof Error, 'it connected')
  return outcome.message
}

test('bytes go both ways over either family, and the end comes in order', async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  using server = new Server(b)
  for (const [from, to] of [
    [a.addr4, b.addr4],
    [a.addr6, b.addr6],
  ] as const) {
    const client = new Told(await connect(a, { addr: to }))
    const accepted = await server.next()
    assert.deepEqual(
      [client.connection, accepted.connection].map(({ localAddr, remoteAddr, device }) => [
        String(localAddr),
        String(remoteAddr),
        device,
      ]),
      [
        [from, to, undefined],
        [to, from, undefined],
      ],
    )
    assert.equal(client.connection.write(Buffer.from('ping')), true)
    await accepted.hears('ping')
    accepted.connection.write(Buffer.from('last words'))
    accepted.connection.end()
    assert.equal(accepted.connection.write(Buffer.from('more')), false)
    assert.equal(await client.closed, undefined)
    assert.equal(await accepted.closed, undefined)
    assert.equal(client.text, 'last words')
  }
})

test('a password must be the same on both sides, and one that is not is hinted at', { timeout: 60_000 }, async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  a.ns.sh('ip addr add 10.0.0.101/24 dev eth0')
  using server = new Server(b)
  for (const addr of [a.addr4, a.addr6, a.linkLocal]) server.listener.setPassword(Addr.parse(addr), 'secret')
  for (const options of [{ addr: b.addr4 }, { addr: b.addr6 }, { addr: b.linkLocal, device: 'eth0' }]) {
    const client = await connect(a, { ...options, password: 'secret' })
    client.write(Buffer.from('signed'))
    await (await server.next()).hears('signed')
    client.destroy()
  }
  const beganMs = performance.now()
  const [wrong4, wrong6, missing, unexpected] = await Promise.all([
    failure(a, { addr: b.addr4, password: 'other' }),
    failure(a, { addr: b.addr6, password: 'other' }),
    failure(a, { addr: b.addr4 }),
    failure(a, { addr: b.addr4, localAddr: Addr.parse('10.0.0.101'), password: 'secret' }),
  ])
  for (const message of [wrong4, wrong6, unexpected])
    assert.match(message, /^ETIMEDOUT: [a-z ]+: nobody answers.*does the other side have the same password/)
  assert.match(missing, /^ETIMEDOUT.*does the other side want a password/)
  // the kernel by itself goes on for two minutes
  const tookMs = performance.now() - beganMs
  assert.ok(tookMs < 30_000, `told after ${tookMs} ms`)

  server.listener.setPassword(Addr.parse(a.addr4), undefined)
  // to take away what is not there is no error
  server.listener.setPassword(Addr.parse(a.addr4), undefined)
  const plain = await connect(a, { addr: b.addr4 })
  plain.destroy()
  assert.throws(
    () => server.listener.setPassword(Addr.parse(a.addr4), 'x'.repeat(81)),
    /has 81 bytes, and TCP MD5 takes 80/,
  )
})

/** a -- router -- b, one hop between. */
function threeInARow(lan: Lan): readonly [Host, Host] {
  const [a, router, b] = [lan.host(), lan.host(), lan.host()]
  const [left, right] = [lan.cable(a, router), lan.cable(router, b)]
  a.ns.sh(`ip addr add 10.1.0.1/24 dev ${left}; ip addr add fd01::1/64 dev ${left} nodad
    ip route add 10.2.0.0/24 via 10.1.0.2; ip route add fd02::/64 via fd01::2`)
  router.ns.sh(`ip addr add 10.1.0.2/24 dev ${left}; ip addr add fd01::2/64 dev ${left} nodad
    ip addr add 10.2.0.2/24 dev ${right}; ip addr add fd02::2/64 dev ${right} nodad`)
  b.ns.sh(`ip addr add 10.2.0.1/24 dev ${right}; ip addr add fd02::1/64 dev ${right} nodad
    ip route add 10.1.0.0/24 via 10.2.0.2; ip route add fd01::/64 via fd02::2`)
  return [a, b]
}

test('TTL security takes a neighbour on the link and refuses one beyond a router', { timeout: 60_000 }, async () => {
  using lan = new Lan()
  const [a, b] = threeInARow(lan)
  using server = new Server(b, (connection) => connection.setTtl({ ttl: 255, minTtl: 255 }))
  // the listener answers with TTL 255, of which one hop took one
  for (const addr of ['10.2.0.1', 'fd02::1']) (await connect(a, { addr, ttl: 255, minTtl: 254 })).destroy()
  const tooFar = await Promise.all(['10.2.0.1', 'fd02::1'].map((addr) => failure(a, { addr, ttl: 255, minTtl: 255 })))
  for (const message of tooFar) assert.match(message, /^ETIMEDOUT.*TTL 255 from at most 1 hops away/)

  // what the accepting side has set holds for it as well: only its own kind of neighbour is heard
  for (const [far, near] of [
    ['10.2.0.1', '10.0.0.3'],
    ['fd02::1', 'fd00::3'],
  ] as const) {
    const client = await connect(a, { addr: far, ttl: 255 })
    const accepted = await server.next()
    client.write(Buffer.from('from afar'))
    const direct = await connect(a, { addr: near, ttl: 255, minTtl: 255 })
    direct.write(Buffer.from('from near'))
    await (await server.next()).hears('from near')
    assert.equal(accepted.text, '')
    client.destroy()
    direct.destroy()
  }
})

test('a low TTL keeps a session on its link, and the kernel tells where it ended', { timeout: 60_000 }, async () => {
  using lan = new Lan()
  const [a, b] = threeInARow(lan)
  using _server = new Server(b)
  ;(await connect(a, { addr: '10.0.0.3', ttl: 1 })).destroy()
  assert.match(await failure(a, { addr: '10.2.0.1', ttl: 1 }), /^EHOSTUNREACH: (no route to host|host is unreachable)/)
})

test('packets carry the TTL that was asked for and the class of network control', async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  b.ns.sh(
    `nft add table inet t; nft 'add chain inet t in { type filter hook input priority 0; }'
    nft add rule inet t in tcp dport 179 ip ttl 255 ip dscp cs6 counter
    nft add rule inet t in tcp dport 179 ip6 hoplimit 255 ip6 dscp cs6 counter
    nft add rule inet t in tcp dport 179 drop`.replaceAll(' counter', ' counter accept'),
  )
  using server = new Server(b)
  for (const addr of [b.addr4, b.addr6]) {
    const client = await connect(a, { addr, ttl: 255 })
    client.write(Buffer.from('x'))
    await (await server.next()).hears('x')
    client.destroy()
  }
})

test('link-local neighbours are reached over their device and known by it', async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  const cable = lan.cable(a, b)
  using server = new Server(b)
  for (const device of ['eth0', cable]) {
    const client = await connect(a, { addr: b.linkLocal, device, localAddr: Addr.parse(a.linkLocal) })
    const accepted = await server.next()
    for (const [connection, remote] of [
      [client, b.linkLocal],
      [accepted.connection, a.linkLocal],
    ] as const) {
      assert.equal(String(connection.remoteAddr), remote)
      assert.equal(connection.device, device)
    }
    client.destroy()
  }
  assert.match(
    await failure(a, { addr: b.linkLocal }),
    /^EINVAL: invalid argument: a link-local address needs a device$/,
  )
})

test('what is wrong is told in words', { timeout: 60_000 }, async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  const localAddr = Addr.parse('10.9.9.9')
  const words = await Promise.all([
    failure(a, { addr: b.addr4 }),
    failure(a, { addr: b.addr6 }),
    failure(a, { addr: '10.0.0.77' }),
    failure(a, { addr: '203.0.113.1' }),
    failure(a, { addr: b.addr4, localAddr }),
    failure(a, { addr: b.addr4, device: 'nothere' }),
  ])
  for (const [index, pattern] of [
    /^ECONNREFUSED: connection refused: nothing listens on TCP port 179 of 10\.0\.0\.2/,
    /^ECONNREFUSED: connection refused: nothing listens on TCP port 179 of fd00::2/,
    /^EHOSTUNREACH: [a-z ]+: nobody has 10\.0\.0\.77 on the link/,
    /^ENETUNREACH: network is unreachable: this node has no route to 203\.0\.113\.1$/,
    /^EADDRNOTAVAIL: address not available: this node does not have the address 10\.9\.9\.9$/,
    /^ENODEV: no such device: this node has no device nothere$/,
  ].entries())
    assert.match(words[index]!, pattern)

  using _server = new Server(b)
  assert.throws(
    () => new Server(b),
    /cannot listen on TCP port 179: EADDRINUSE: [a-z ]+: [a-zA-Z-]+ \(process \d+\) has it/,
  )

  const given = new AbortController()
  const pending = connect(a, { addr: '10.0.0.78', password: 'x' }, given.signal)
  given.abort()
  await assert.rejects(pending, /given up: nobody answers.*password/)
  await assert.rejects(connect(a, { addr: b.addr4 }, given.signal), /abort/)
})

test('a neighbour that stops reading makes writing wait, and nothing is lost when it reads again', async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  using server = new Server(b)
  const client = new Told(await connect(a, { addr: b.addr4 }))
  const accepted = await server.next()
  accepted.connection.pause()
  const chunk = new Uint8Array(4096).fill(7)
  let written = 0
  while (client.connection.write(chunk)) {
    written += chunk.length
    assert.ok(written < 1 << 26, 'the kernel takes everything')
  }
  written += chunk.length
  assert.ok(client.connection.queuedBytes > 0)
  assert.equal(client.drains, 0)
  for (let more = 0; more < 10; more++, written += chunk.length) assert.equal(client.connection.write(chunk), false)
  assert.ok(client.connection.queuedBytes > chunk.length * 10)
  accepted.connection.resume()
  await eventually(
    'everything arrives',
    () => accepted.bytes,
    (bytes) => bytes === written,
  )
  assert.equal(client.drains, 1)
  assert.equal(client.connection.queuedBytes, 0)
  assert.equal(client.connection.write(chunk), true)
  client.connection.destroy()
})

test('destroying tells the other side, whatever is queued', async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  using server = new Server(b)
  for (const isEnding of [false, true]) {
    const client = new Told(await connect(a, { addr: b.addr4 }))
    const accepted = await server.next()
    accepted.connection.pause()
    while (client.connection.write(new Uint8Array(65_536)));
    if (isEnding) client.connection.end()
    client.connection.destroy()
    assert.equal(await client.closed, undefined)
    // nothing of it has an effect any more
    assert.equal(client.connection.queuedBytes, 0)
    assert.equal(client.connection.write(Buffer.from('x')), false)
    client.connection.end()
    client.connection.destroy()
    client.connection.setTtl({ ttl: 1 })
    accepted.connection.resume()
    const error = await accepted.closed
    if (!isEnding) assert.match(error?.message ?? '', /^ECONNRESET: connection reset by peer$/)
  }
})

test('it works in a thread', async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  using server = new Server(b)
  server.listener.setPassword(Addr.parse(a.addr6), 'secret')
  const worker = new Worker(new URL('./transport-worker.ts', import.meta.url), {
    workerData: { netns: a.ns.path, addr: b.addr6, password: 'secret' },
  })
  const accepted = await server.next()
  await accepted.hears('from a thread')
  accepted.connection.write(Buffer.from('to a thread'))
  assert.deepEqual(await once(worker, 'message'), ['to a thread'])
  accepted.connection.end()
  assert.deepEqual(await once(worker, 'exit'), [0])
})
