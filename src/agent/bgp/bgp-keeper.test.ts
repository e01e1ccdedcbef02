import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, mock, test } from 'node:test'
import { freePort, takenPort } from '#/bgp/testing/taken-port.ts'
import { clientFor } from '#/cluster/connect.ts'
import { FakeApi, isWatch, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type Routing } from '#/model/routing.ts'
import { NodeWays } from '#/plan/node-ways.ts'
import { RemoteNodes } from '#/plan/remote-nodes.ts'
import { BgpKeeper } from './bgp-keeper.ts'
import { memberOf } from './members.ts'
import { LearnedRouteStore } from './learned-route-store.ts'
import { SpeakerThread } from './speaker-thread.ts'
import { type BgpRoutesReport } from '#/api/schemas/bgp.ts'

type Situation = {
  readonly spec?: object
  readonly secretRead?: Promise<void>
  readonly routing?: Routing
  readonly others?: readonly KubeNode[]
  /** Its Node object was deleted. */
  readonly isGone?: boolean
}

const neighbour = {
  metadata: { name: 'tor', resourceVersion: '1' },
  spec: { peerAddress: '192.0.2.9', peerASN: 65_001, mode: 'passive' },
}

/** A node with a neighbour that never comes, in a cluster whose BGPConfiguration has this port to listen on. */
async function keeperOn(
  port: number,
  { spec = {}, secretRead = Promise.resolve(), routing = 'vxlan', others = [], isGone = false }: Situation = {},
) {
  let neighbours: ServerResponse | undefined
  const configuration = { metadata: { name: 'default', resourceVersion: '1' }, spec: { listenPort: port, ...spec } }
  const api = await FakeApi.start((request, response) => {
    const isOfNeighbours = request.path.endsWith('/bgppeers')
    const items = isOfNeighbours ? [neighbour] : request.path.endsWith('/bgpconfigurations') ? [configuration] : []
    if (request.path.includes('/secrets/'))
      return void secretRead.then(() =>
        sendJson(response, { metadata: { name: 's' }, data: { password: btoa('secret') } }),
      )
    if (!request.path.startsWith('/apis/causeway.dev/')) return sendStatus(response, 404, 'NotFound')
    if (!isWatch(request)) return sendJson(response, { metadata: { resourceVersion: '1' }, items })
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    if (isOfNeighbours) neighbours = response
  })
  const runDir = mkdtempSync(join(tmpdir(), 'bgp-keeper-'))
  const node: KubeNode = {
    metadata: { name: 'n1' },
    spec: { podCIDRs: ['10.244.1.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] },
  }
  const nodes = new Map([...(isGone ? [] : [node]), ...others].map((each) => [each.metadata.name, each]))
  const podCIDRs = [Prefix.parse('10.244.1.0/24')]
  const settings = {
    clusterCIDRs: [Prefix.parse('10.244.0.0/16')],
    vni: 1,
    vxlanPort: 8472,
    opensForwardChains: true,
    routing: 'vxlan',
  } as const
  const learned = new LearnedRouteStore()
  const self = { name: 'n1', podCIDRs, addrs: [Addr.parse('172.30.1.1')] }
  const keeper = new BgpKeeper(
    { nodeName: 'n1', namespace: 'causeway-system', runDir, settings },
    {
      client: await clientFor(api.config),
      self: () => self,
      nodes: () => nodes,
      routing: () => routing,
      learned,
      isComplete: () => true,
      keptForwarding: () => false,
      notInstalled: () => new Map(),
      onLearned() {},
      onChange() {},
      log: silent,
    },
  )
  const table = new RemoteNodes({ self, underlay: {}, ways: new NodeWays(), connected: [], routing, settings })
  table.update(
    others.map((other) => [
      other.metadata.name,
      { name: other.metadata.name, podCIDRs: memberOf(other).podCIDRs, addrs: [] },
    ]),
  )
  keeper.takeNetwork({ links: [], routed: [] }, table)
  return {
    keeper,
    learned,
    get secretsAsked() {
      return api.requests.filter(({ path }) => path.includes('/secrets/')).length
    },
    tell: (type: 'ADDED' | 'DELETED') => neighbours!.write(`${JSON.stringify({ type, object: neighbour })}\n`),
    async [Symbol.asyncDispose]() {
      await keeper[Symbol.asyncDispose]()
      await api[Symbol.asyncDispose]()
      rmSync(runDir, { recursive: true })
    },
  }
}

async function speaks(keeper: BgpKeeper): Promise<void> {
  let asn: number | undefined
  await eventually(() => {
    // one that is asked when the speaker ends has no answer
    keeper.peers().then(
      (report) => (asn = report.asn),
      () => {},
    )
    return asn !== undefined
  }, 'a speaker')
  assert.equal(asn, 64_512)
}

const hasProblem = ({ problems }: BgpKeeper, wanted: string): boolean => problems.some(({ code }) => code === wanted)

/** The first speaker gets a configuration that it cannot read. */
function failFirst(): void {
  const { configure } = SpeakerThread.prototype
  let isFirst = true
  mock.method(SpeakerThread.prototype, 'configure', function (this: SpeakerThread, config: string) {
    configure.call(this, isFirst ? '{' : config)
    isFirst = false
  })
}

afterEach(() => mock.restoreAll())

test('a speaker that failed is started again, and its problem goes with it', async () => {
  failFirst()
  await using scene = await keeperOn(await freePort())
  const { keeper } = scene
  keeper.start()
  await eventually(() => hasProblem(keeper, 'CW9002'), 'a problem')
  await speaks(keeper)
  await eventually(() => keeper.problems.length === 0, 'no problem')
})

test('a speaker that failed, is not wanted any more, and is wanted again, is there again', async () => {
  failFirst()
  await using scene = await keeperOn(await freePort())
  const { keeper } = scene
  keeper.start()
  await eventually(() => hasProblem(keeper, 'CW9002'), 'a problem')
  scene.tell('DELETED')
  await eventually(() => keeper.problems.length === 0, 'nothing is wanted, so nothing is wrong')
  scene.tell('ADDED')
  await speaks(keeper)
})

test('a port that another process has is a problem that names the process, and goes when it is free', async () => {
  using taken = await takenPort()
  await using scene = await keeperOn(taken.port)
  const { keeper } = scene
  keeper.start()
  await speaks(keeper)
  await eventually(() => hasProblem(keeper, 'CW4109'), 'a problem')
  const { portTroubles = [] } = await keeper.peers()
  const owner = `${readFileSync('/proc/self/comm', 'utf8').trim()} (process ${process.pid}) has it`
  for (const words of [keeper.problems[0]!.message, ...portTroubles])
    assert.match(words, new RegExp(`^cannot listen on TCP port ${taken.port}: EADDRINUSE: .*: `))
  assert.ok(
    portTroubles.every((words) => words.includes(owner)),
    portTroubles.join(),
  )
  taken[Symbol.dispose]()
  await eventually(() => keeper.problems.length === 0, 'no problem')
})

test('a speaker does not begin before the passwords of its sessions are read', async () => {
  const port = await freePort()
  const secret = Promise.withResolvers<void>()
  const spec = { meshPasswordSecretRef: { name: 's', key: 'password' } }
  await using scene = await keeperOn(port, { spec, secretRead: secret.promise, routing: 'native' })
  const { keeper, learned } = scene
  keeper.start()
  await eventually(() => scene.secretsAsked > 0, 'the Secret is asked for')
  const { silentBecause } = await keeper.peers()
  assert.equal(silentBecause, 'the Kubernetes API has not told yet whether it is wanted')
  assert.equal(learned.isReady, false)
  secret.resolve()
  await speaks(keeper)
})

const rival: KubeNode = { metadata: { name: 'n0' }, spec: { podCIDRs: ['10.244.1.0/24'] } }
for (const { what, told, ...situation } of [
  { what: 'is told', told: ['10.244.1.0/24'] },
  { what: 'to which another node has the better claim is not', told: [], others: [rival] },
  { what: 'of a node that was deleted is not', told: [], isGone: true },
]) {
  test(`a pod CIDR ${what}`, async () => {
    await using scene = await keeperOn(await freePort(), situation)
    scene.keeper.start()
    const look = async () => {
      const answer = await scene.keeper.handlers.bgpRoutes!({})
      return ('json' in answer ? JSON.parse(await text(answer.json)) : answer.body) as BgpRoutesReport
    }
    let report: BgpRoutesReport | undefined
    await eventually(() => {
      // one that is still asked when the speaker ends has no answer
      look().then(
        (seen) => (report = seen.silentBecause === undefined ? seen : undefined),
        () => {},
      )
      return report !== undefined
    }, 'a speaker')
    assert.deepEqual(
      report?.routes.map(({ prefix }) => prefix),
      told,
    )
  })
}

test('a question about a neighbour that there is none of is refused, with the name that was meant', async () => {
  await using scene = await keeperOn(await freePort())
  scene.keeper.start()
  await speaks(scene.keeper)
  const { bgpRoutes, bgpAdvertised, bgpReset } = scene.keeper.handlers
  const refusal = { status: 404, body: 'there is no peer "tro"; did you mean tor?; "causeway bgp peers" lists all\n' }
  assert.deepEqual(await bgpRoutes!({ peer: 'tro' }), refusal)
  assert.deepEqual(await bgpAdvertised!({ peer: 'tro' }), refusal)
  assert.deepEqual(await bgpReset!({ peer: 'tro', how: 'soft' }), refusal)
  for (const peer of ['tor', '(own)']) assert.ok('json' in (await bgpRoutes!({ peer })), peer)
})
