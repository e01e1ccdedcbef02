// Commands' way through an API server that is scripted, to agents that are real HTTP servers behind it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { WebSocketServer } from 'ws'
import { askAll, followAgent, type NodeOutcome } from '#/api/client.ts'
import { type AgentPlan } from '#/api/schemas/plan.ts'
import { FakeApi, type Handler, sendJson, sendStatus, type UpgradeHandler } from '#/cluster/testing/fake-api.ts'
import { execMessage } from '#/cluster/remote-command.ts'
import { operatorAccess } from '#/install/access.ts'
import { version } from '#/model/version.ts'
import { type AgentAccess, clusterAccess } from './cluster-access.ts'

const namespace = 'causeway-system'

function pod(node: string, state: object = { running: {} }, where = namespace) {
  return {
    metadata: { name: `agent-${node}`, namespace: where },
    spec: { nodeName: node },
    status: { containerStatuses: [{ name: 'agent', state }] },
  }
}

/** Gives these pods to whom lists them in their namespace, or in all; nothing else may be read. */
function listing(...pods: ReturnType<typeof pod>[]): Handler {
  return ({ path, query }, response) => {
    const wanted = /^\/api\/v1(?:\/namespaces\/([^/]+))?\/pods$/.exec(path)
    if (!wanted) return sendStatus(response, 403, 'Forbidden')
    assert.equal(query.get('labelSelector'), 'app.kubernetes.io/name in (causeway-agent,causeway-observer)')
    const items = pods.filter(({ metadata }) => wanted[1] === undefined || metadata.namespace === wanted[1])
    return sendJson(response, { kind: 'PodList', metadata: { resourceVersion: '1' }, items })
  }
}

function send(socket: { send: (bytes: Uint8Array) => void }, channel: number, what: unknown): void {
  socket.send(execMessage(Buffer.isBuffer(what) ? what : Buffer.from(JSON.stringify(what)), channel))
}

/** Executes a relay to the agent of each node: its port, or the Status with which it fails. */
function executing(agents: Readonly<Record<string, number | object>>): UpgradeHandler {
  const server = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' })
  return (request, socket, head) => {
    const node = /\/pods\/agent-([^/]+)\/exec\?container=agent&command=causeway-api-relay&/.exec(request.url ?? '')![1]!
    server.handleUpgrade(request, socket, head, (accepted) => {
      const agent = agents[node]!
      if (typeof agent === 'object') {
        send(accepted, 3, agent)
        return accepted.close(1000)
      }
      const behind = connect(agent, '127.0.0.1')
      behind.on('error', () => {})
      behind.on('data', (chunk) => send(accepted, 1, chunk))
      behind.on('close', () => {
        send(accepted, 3, { status: 'Success' })
        accepted.close(1000)
      })
      accepted.on('message', (message: Buffer) => behind.write(message.subarray(1)))
      accepted.on('close', () => behind.destroy())
    })
  }
}

class Cluster implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-access-'))
  readonly #agents: Server[] = []
  #api: FakeApi | undefined

  async agent(listener: RequestListener): Promise<number> {
    const server = createServer(listener)
    this.#agents.push(server)
    const { promise, resolve } = Promise.withResolvers<void>()
    server.listen(0, '127.0.0.1', resolve)
    await promise
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    return address.port
  }

  async access(list: Handler, upgrade: UpgradeHandler, options = {}): Promise<AgentAccess> {
    this.#api = await FakeApi.start(list, { upgrade })
    const kubeconfig = join(this.#folder, 'kubeconfig')
    const clusters = [{ name: 'c', cluster: { server: this.#api.url } }]
    const contexts = [{ name: 'x', context: { cluster: 'c' } }]
    writeFileSync(kubeconfig, JSON.stringify({ clusters, contexts, 'current-context': 'x' }))
    return clusterAccess({ kubeconfig, ...options })
  }

  /** What the API was asked, but for executions. */
  get asked(): string[] {
    return this.#api!.requests.map(({ method, path }) => `${method} ${path}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api?.[Symbol.asyncDispose]()
    for (const server of this.#agents) {
      server.closeAllConnections()
      server.close()
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const plan = (node: string): AgentPlan => ({ node, changes: [], problems: [] })

function telling(node: string): RequestListener {
  return (_request, response) =>
    response
      .setHeader('server', `causeway/${version}`)
      .writeHead(200)
      .end(JSON.stringify(plan(node)))
}

function textsOf(outcomes: readonly NodeOutcome<unknown>[]): string[] {
  return outcomes.map(({ node, outcome }) => `${node}: ${outcome.kind === 'answer' ? 'answers' : outcome.message}`)
}

test('each node is asked through its pod, and each that does not answer says why', async () => {
  await using cluster = await Promise.resolve(new Cluster())
  const port = await cluster.agent(telling('a'))
  const dead = {
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: 'exit',
    details: { causes: [{ reason: 'ExitCode', message: '1' }] },
  }
  const old = { status: 'Failure', reason: 'InternalError', message: 'exec: executable file not found in $PATH' }
  const list = listing(pod('a'), pod('b'), pod('c'), pod('d', { waiting: { reason: 'CrashLoopBackOff' } }))
  await using access = await cluster.access(list, executing({ a: port, b: dead, c: old }))
  const outcomes = await askAll(access.agents, 'plan')
  assert.deepEqual(outcomes[0], {
    node: 'a',
    pod: `${namespace}/agent-a`,
    outcome: { kind: 'answer', value: plan('a') },
  })
  assert.deepEqual(textsOf(outcomes), [
    'a: answers',
    `b: the agent in pod ${namespace}/agent-b does not answer: exit status 1`,
    `c: the agent in pod ${namespace}/agent-c is of a release without causeway-api-relay: bring it up to date with causeway install`,
    `d: pod ${namespace}/agent-d does not run: its container waits (CrashLoopBackOff); see: kubectl -n ${namespace} describe pod agent-d`,
  ])
})

test('a long answer and a stream come through, and who has enough ends the stream', async () => {
  await using cluster = await Promise.resolve(new Cluster())
  const changes = Array.from({ length: 50_000 }, (_, index) => ({
    kind: 'route',
    key: `route ${index}`,
    verb: 'create',
    commands: [`ip route add 10.0.${index % 256}.0/24 dev cw-vxlan`],
  }))
  const ended = Promise.withResolvers<void>()
  const port = await cluster.agent((request, response) => {
    if (request.url === '/v1/plan') return response.end(JSON.stringify({ ...plan('a'), changes }))
    response.on('close', () => ended.resolve())
    const timer = setInterval(() => response.write('\n{"kind":"lost","lost":1}\n'), 5)
    response.on('close', () => clearInterval(timer))
    return undefined
  })
  await using access = await cluster.access(listing(pod('a')), executing({ a: port }))
  const [outcome] = await askAll(access.agents, 'plan')
  assert.ok(outcome?.outcome.kind === 'answer', JSON.stringify(outcome))
  assert.equal(outcome.outcome.value.changes.length, 50_000)
  const enough = new AbortController()
  let lines = 0
  const onLine = (): void => {
    if (++lines === 3) enough.abort()
  }
  const { transport } = access.agents[0]!
  const followed = await followAgent(transport, 'policyDenialsWatch', {}, onLine, { signal: enough.signal })
  assert.deepEqual(followed, { kind: 'answer', value: 3 })
  await ended.promise
})

test('an agent that ends in the middle of its answer has not answered', async () => {
  await using cluster = await Promise.resolve(new Cluster())
  const port = await cluster.agent((request, response) => {
    response.writeHead(200, { 'content-length': 1000 }).write('{"node":')
    setTimeout(() => request.socket.destroy(), 20)
  })
  await using access = await cluster.access(listing(pod('a')), executing({ a: port }))
  const [outcome] = textsOf(await askAll(access.agents, 'plan'))
  assert.match(
    outcome!,
    /^a: no answer from the agent in pod causeway-system\/agent-a: (aborted|terminated|socket hang up)/,
  )
})

test('a right that is missing is told once for all nodes, with the command that gives it', async () => {
  await using cluster = await Promise.resolve(new Cluster())
  const refuse: UpgradeHandler = (request, socket) => {
    const name = /pods\/([^/]+)\//.exec(request.url ?? '')![1]
    const right = `User "ann" cannot create resource "pods/exec" in API group "" in the namespace "${namespace}"`
    const message = `pods "${name}" is forbidden: ${right}`
    const body = JSON.stringify({ kind: 'Status', status: 'Failure', code: 403, reason: 'Forbidden', message })
    socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  }
  await using access = await cluster.access(listing(pod('a'), pod('b')), refuse)
  const words = `user "ann" lacks the right to create pods/exec in the namespace ${namespace}; who may grant it: kubectl -n ${namespace} create rolebinding causeway-operators --clusterrole=causeway-operator --user=ann`
  assert.deepEqual(textsOf(await askAll(access.agents, 'plan')), [`a: ${words}`, `b: ${words}`])
})

test('agents are looked for where they are said to be, else in the usual namespace, else in all', async () => {
  const elsewhere = pod('a', { running: {} }, 'net')
  const upgrade: UpgradeHandler = (_request, socket) => socket.destroy()
  {
    await using cluster = await Promise.resolve(new Cluster())
    await using access = await cluster.access(listing(elsewhere), upgrade)
    assert.deepEqual(
      access.agents.map((agent) => agent.pod),
      ['net/agent-a'],
    )
  }
  for (const [options, words] of [
    [
      { namespace: 'x' },
      /^Error: no pod in the namespace x has a label app\.kubernetes\.io\/name in \(causeway-agent,causeway-observer\): is /,
    ],
    [{ node: 'b' }, /^UsageError: --node b: the cluster has agents on a$/],
  ] as const) {
    await using cluster = await Promise.resolve(new Cluster())
    await assert.rejects(cluster.access(listing(elsewhere), upgrade, options), words)
  }
  await using cluster = await Promise.resolve(new Cluster())
  await assert.rejects(
    cluster.access((_request, response) => sendStatus(response, 401, 'Unauthorized'), upgrade),
    /^Error: the agents cannot be found: the API server does not accept the credentials \(401: test: Unauthorized\)/,
  )
})

const daemonSet = { metadata: { name: 'causeway-agent', namespace }, spec: { template: { spec: {} } } }
const noUpgrade: UpgradeHandler = (_request, socket) => socket.destroy()

/** Pods, nodes and DaemonSets, but for paths that are answered with a status. */
function listingAll(statuses: Readonly<Record<string, number>> = {}): Handler {
  const pods = listing(pod('a'))
  return (request, response) => {
    const { path } = request
    const [, code] = Object.entries(statuses).find(([end]) => path.endsWith(end)) ?? []
    if (code !== undefined) return sendStatus(response, code, 'Told')
    const nodes = ['a', 'b'].map((name) => ({ metadata: { name } }))
    if (path === '/api/v1/nodes')
      return sendJson(response, { kind: 'NodeList', metadata: { resourceVersion: '1' }, items: nodes })
    return path.endsWith('/causeway-agent') ? sendJson(response, daemonSet) : pods(request, response)
  }
}

test('a node that should have an agent is named; where that cannot be looked for it is said, and why', async () => {
  const seen = async (statuses: Readonly<Record<string, number>>, options = {}): Promise<AgentAccess> => {
    await using cluster = await Promise.resolve(new Cluster())
    await using access = await cluster.access(listingAll(statuses), noUpgrade, options)
    return access
  }
  const names = ({ agents }: AgentAccess): string[] => agents.map(({ node }) => node)
  const none = { '/causeway-observer': 404 }
  const whole = await seen(none)
  assert.deepEqual([names(whole), whole.unlisted], [['a', 'b'], undefined])
  const refused = await seen({ ...none, '/nodes': 403 })
  assert.deepEqual(names(refused), ['a'])
  assert.equal(refused.unlisted?.isPassing, false)
  assert.match(refused.unlisted.why, /^the list of nodes cannot be read: .*403/)
  const failing = await seen({ ...none, '/causeway-agent': 500 })
  assert.equal(failing.unlisted?.isPassing, true)
  assert.match(failing.unlisted.why, /^daemonset causeway-system\/causeway-agent cannot be read: .*500/)
  assert.equal((await seen({ ...none, '/nodes': 403 }, { node: 'a' })).unlisted, undefined)
})

test('nothing is asked that the role of an installation does not allow, but the list of nodes', async () => {
  await using cluster = await Promise.resolve(new Cluster())
  const port = await cluster.agent(telling('a'))
  await using access = await cluster.access(listing(pod('a')), executing({ a: port }))
  await askAll(access.agents, 'plan')
  assert.deepEqual(cluster.asked.toSorted(), [
    'GET /api/v1/namespaces/causeway-system/pods',
    'GET /api/v1/nodes',
    'GET /apis/apps/v1/namespaces/causeway-system/daemonsets/causeway-agent',
    'GET /apis/apps/v1/namespaces/causeway-system/daemonsets/causeway-observer',
  ])
  assert.deepEqual(operatorAccess()['rules'], [
    { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
    { apiGroups: [''], resources: ['pods/exec'], verbs: ['get', 'create'] },
    {
      apiGroups: ['apps'],
      resources: ['daemonsets'],
      resourceNames: ['causeway-agent', 'causeway-observer'],
      verbs: ['get'],
    },
  ])
})
