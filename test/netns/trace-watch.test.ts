// The operation that tells where the packets of a trace are seen, with an observer and pods of real namespaces.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { strictMismatchOf } from '#/api/read.ts'
import { traceLimits, traceWatchLine, type TraceWatchLine, type TraceWatchRequest } from '#/api/schemas/trace.ts'
import { TraceWatch } from '#/agent/report/trace-watch.ts'
import { type Endpoint } from '#/agent/endpoints/endpoint-store.ts'
import { findFlows } from '#/kernel/flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { silent } from '#/lib/log.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { Netns } from '#/sys/netns.ts'
import { type TestNetns } from './namespace.ts'
import { TraceWorld, vxlanPort } from './trace-world.ts'

/** As far as a watch looks at it. */
function endpoint(pod: string, { path }: TestNetns): Endpoint {
  return { pod, hostDevice: `none-${pod}`, netns: path } as unknown as Endpoint
}

suite('traceWatch', () => {
  let world: TraceWorld
  const pods: Endpoint[] = []
  let watch: TraceWatch
  before(() => {
    world = new TraceWorld()
    pods.push(endpoint('shop/web', world.leftPod))
    const sources = {
      nodeName: 'node-1',
      endpoints: () => pods,
      netnsOf: ({ netns }: Endpoint) => new Netns(netns),
    } as unknown as ConstructorParameters<typeof TraceWatch>[0]['sources']
    watch = new TraceWatch({ sources, vxlanPort: () => vxlanPort, log: silent })
  })
  after(() => world[Symbol.dispose]())

  /** Asks; tells each line that comes until `gone` aborts. */
  function ask(wish: TraceWatchRequest, gone: AbortSignal, onLine: (line: TraceWatchLine) => void): Promise<void> {
    const answer = watch.handlers.traceWatch!(wish)
    assert.ok('stream' in answer, JSON.stringify(answer))
    const write = (line: TraceWatchLine): void => {
      assert.equal(strictMismatchOf(traceWatchLine, line), undefined)
      onLine(line)
    }
    return answer.stream({ write, isBehind: () => false, signal: gone })
  }

  test('ready, then what is seen in the pods, also in those that come later; and nothing stays in connection tracking', async () => {
    world.leftPod.sh(
      `nft 'add table inet t { chain c { type filter hook output priority 0; ct state invalid counter; }; }'`,
    )
    const [gone, lines] = [new AbortController(), [] as TraceWatchLine[]]
    const ready = Promise.withResolvers<void>()
    const cookie = 'e1e2e3e4e5e6e7e8'
    const stream = ask({ protocol: 'icmp', cookie }, gone.signal, (line) => {
      lines.push(line)
      if (line.kind === 'ready') ready.resolve()
    })
    await ready.promise
    assert.equal(lines[0]!.ready!.node, 'node-1')
    assert.ok(Math.abs(lines[0]!.ready!.nowMs - Date.now()) < 5000)
    await world.send({ protocol: 'icmp', cookie })
    const seen = lines.flatMap(({ sighting }) => (sighting ? [sighting] : []))
    assert.deepEqual(
      seen.map(({ pod, device, place, role }) => [pod, device, place, role].join(' ')),
      ['queue probe', 'transmit probe', 'receive answer', 'drop answer'].map((at) => `shop/web eth0 ${at}`),
    )
    assert.ok(Math.abs(seen[0]!.timeMs - Date.now()) < 5000)
    assert.ok(seen[0]!.bytes.includes(cookie))

    pods.push(endpoint('shop/db', world.rightPod))
    await world.settle(700)
    await world.send({ protocol: 'icmp', cookie })
    assert.ok(lines.some(({ sighting }) => sighting?.pod === 'shop/db'))
    const flows = async (): Promise<number> => {
      using netlink = new Netlink(NETLINK_NETFILTER, world.leftPod.netns)
      return (await findFlows(netlink, () => true)).length
    }
    assert.equal(await flows(), 1)
    gone.abort()
    await stream
    assert.equal(await flows(), 0)
    assert.equal(lines.at(-1)!.kind, 'sighting')
  })

  test('it ends by itself, and tells why', async () => {
    const lines: TraceWatchLine[] = []
    const wish: TraceWatchRequest = { protocol: 'tcp', seq: '7', seconds: '1' }
    await ask(wish, new AbortController().signal, (line) => lines.push(line))
    assert.deepEqual(
      lines.map(({ kind, end }) => end ?? kind),
      ['ready', '1 s are over'],
    )
  })

  test('what cannot be asked, and too many at once', async () => {
    const refusal = (wish: TraceWatchRequest): unknown => watch.handlers.traceWatch!(wish)
    assert.deepEqual(refusal({ protocol: 'tcp' }), { status: 400, body: 'seq: tcp needs it\n' })
    assert.deepEqual(refusal({ protocol: 'icmp', seq: '1' }), { status: 400, body: 'cookie: icmp needs it\n' })
    const gone = new AbortController()
    const streams = Array.from({ length: traceLimits.watchers }, (_, at) =>
      ask({ protocol: 'tcp', seq: String(at) }, gone.signal, () => {}),
    )
    assert.deepEqual(refusal({ protocol: 'tcp', seq: '9' }), {
      status: 429,
      body: '4 traces watch already, and no more may at once\n',
    })
    gone.abort()
    await Promise.all(streams)
    await ask({ protocol: 'tcp', seq: '9', seconds: '1' }, AbortSignal.abort(), () => {})
  })

  test('the same probe cannot be watched twice: the second stream ends before it has begun', async () => {
    const [gone, lines] = [new AbortController(), [] as TraceWatchLine[]]
    const first = ask({ protocol: 'tcp', seq: '5' }, gone.signal, () => {})
    await ask({ protocol: 'tcp', seq: '5' }, gone.signal, (line) => lines.push(line))
    assert.deepEqual(lines, [{ kind: 'end', end: 'a probe like this is followed already' }])
    gone.abort()
    await first
  })
})
