// An agent whose API is bad in every way there is: it forwards on and wires pods, says what is wrong, and catches up afterwards.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { mustAnswer } from '../ask.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { tcpListener } from '#/sys/socket.ts'
import { TestNetns } from './namespace.ts'

const causeway = new URL('../../causeway', import.meta.url).pathname
const plugin = new URL('../../build/causeway-cni', import.meta.url).pathname
const port = 6443

function node(number: number): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: `node-${number}`, uid: `u${number}`, resourceVersion: String(number) },
    spec: { podCIDR: `10.244.${number}.0/24`, podCIDRs: [`10.244.${number}.0/24`] },
    status: { addresses: [{ type: 'InternalIP', address: `172.30.1.${number}` }] },
  }
}

/** Answers as an API server with these nodes does; watches stay open, and begin with the nodes that are new to the first list. */
function good(nodes: readonly number[], known = nodes) {
  return (request: FakeRequest, response: http.ServerResponse): void => {
    if (isWatch(request)) {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.flushHeaders()
      if (request.path !== nodesPath()) return
      for (const number of nodes)
        if (!known.includes(number)) response.write(`${JSON.stringify({ type: 'ADDED', object: node(number) })}\n`)
    } else if (request.method !== 'GET') sendJson(response, node(1))
    else
      sendJson(response, {
        kind: 'List',
        apiVersion: 'v1',
        metadata: { resourceVersion: '100' },
        // there is nothing else in it
        items: request.path === nodesPath() ? nodes.map(node) : [],
      })
  }
}

const bad: Record<string, (request: FakeRequest, response: http.ServerResponse) => void> = {
  'garbage with status 200': (_request, response) => void response.end('\u0000<html>}{'),
  'a list that is none': (request, response) =>
    isWatch(request) ? void response.end('{"type":"ADDED","object":7}\n') : sendJson(response, { items: 'many' }),
  'a list of things without names': (_request, response) =>
    sendJson(response, { metadata: { resourceVersion: '1' }, items: [{ spec: {} }] }),
  '401': (_request, response) => sendStatus(response, 401, 'Unauthorized'),
  '410': (_request, response) => sendStatus(response, 410, 'Expired'),
  '429': (_request, response) => sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '1' }),
  '500': (_request, response) => sendStatus(response, 500, 'InternalError'),
  'no answer at all': () => {},
}

class Scene implements AsyncDisposable {
  readonly host = new TestNetns()
  readonly folder = mkdtempSync(join(tmpdir(), 'causeway-api-'))
  readonly socket = join(this.folder, 'run/agent.sock')

  constructor() {
    this.host.sh(`ip link set lo up; ip link add eth0 type veth peer name wire; ip link set eth0 up; ip link set wire up
      ip addr add 172.30.1.1/24 dev eth0`)
    const kubeconfig = {
      'current-context': 'c',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      users: [{ name: 'u', user: {} }],
    }
    writeFileSync(join(this.folder, 'kubeconfig'), JSON.stringify(kubeconfig))
  }

  /** Gone when the scene is. */
  agent(more: Record<string, string> = {}): ReturnType<typeof spawn> {
    return this.host.netns.run(() =>
      spawn(causeway, ['agent'], {
        stdio: 'ignore',
        env: {
          ...process.env,
          CAUSEWAY_NODE_NAME: 'node-1',
          CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16',
          CAUSEWAY_STATE_DIR: join(this.folder, 'state'),
          CAUSEWAY_RUN_DIR: join(this.folder, 'run'),
          CAUSEWAY_KUBECONFIG: join(this.folder, 'kubeconfig'),
          ...more,
        },
      }),
    )
  }

  async status(): Promise<AgentStatus> {
    return mustAnswer(this.socket, 'status')
  }

  cni(command: string, id: string, netns: string): { status: number | null; stdout: string } {
    const { status, stdout } = spawnSync(plugin, {
      encoding: 'utf8',
      input: JSON.stringify({ cniVersion: '1.0.0', name: 'causeway', type: 'causeway-cni' }),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: id,
        CNI_NETNS: netns,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/',
        CAUSEWAY_CNI_SOCKET: join(this.folder, 'run/cni.sock'),
        CAUSEWAY_CNI_SPOOL: join(this.folder, 'state/cni-spool'),
      },
    })
    return { status, stdout }
  }

  kernel(): string {
    return this.host.sh(`ip route show proto 67; ip -o -4 addr | awk '{ print $2, $4 }'; nft list tables
      nft list table inet causeway 2>/dev/null | grep -v counter || true`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.host[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function until(what: string, probe: () => Promise<boolean> | boolean, timeoutMs = 60_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await Promise.resolve(probe()).catch(() => false))) {
    assert.ok(performance.now() < deadlineMs, `${what}: not within ${timeoutMs} ms`)
    await sleep(50)
  }
}

test('whatever the API answers, forwarding stays, pods are wired, and a new node is reached once it is good again', async () => {
  await using scene = new Scene()
  await using api = await FakeApi.start(good([1, 2, 3]), { fd: scene.host.netns.run(() => tcpListener(4, port)) })
  const agent = scene.agent()
  try {
    await until('both routes', () => scene.kernel().match(/encap/g)?.length === 2)
    await until('all objects', async () => (await scene.status()).objects.every(({ state }) => state === 'done'))
    const before = scene.kernel()
    for (const [what, handler] of Object.entries(bad)) {
      api.handler = handler
      api.cut()
      await until(`${what} is noticed`, async () => (await scene.status()).api.phase !== 'watching')
      await sleep(700)
      assert.equal(agent.exitCode, null, what)
      assert.equal(scene.kernel(), before, what)
      using pod = new TestNetns()
      const id = what.replaceAll(/\W/g, '-')
      const added = scene.cni('ADD', id, pod.path)
      assert.equal(added.status, 0, `${what}: ${added.stdout}`)
      assert.equal(scene.cni('DEL', id, pod.path).status, 0)
      assert.ok((await scene.status()).api.inSync, 'what is known is known')
    }
    assert.ok((await scene.status()).api.lastError, 'it is told')
    api.handler = good([1, 2, 3, 4], [1, 2, 3])
    api.cut()
    // the pauses between its tries have grown
    await until('the route to the new node', () => scene.kernel().includes('10.244.4.0/24'), 60_000)
    assert.equal((await scene.status()).problems.length, 0)
  } finally {
    agent.kill('SIGTERM')
    if (agent.exitCode === null) await once(agent, 'exit')
  }
})

test('an API whose packets are dropped is noticed, and in sync soon after they pass again, though it has forgotten the version', async () => {
  await using scene = new Scene()
  await using api = await FakeApi.start(good([1, 2, 3]), { fd: scene.host.netns.run(() => tcpListener(4, port)) })
  const agent = scene.agent()
  try {
    await until('both routes', () => scene.kernel().match(/encap/g)?.length === 2)
    scene.host.sh(`nft add table ip outage; nft add chain ip outage in '{ type filter hook input priority -10; }'
      nft add rule ip outage in tcp dport ${port} drop`)
    // no packet tells of it: the connections of the watches are quiet anyway
    const why = async (): Promise<string> => (await scene.status()).api.lastError ?? ''
    await until('that its watch is dead', async () => (await scene.status()).api.phase === 'backoff')
    await until('that nobody answers', async () => (await why()).includes('the server does not answer'))
    api.handler = (request, response) => {
      if (isWatch(request) && request.query.get('resourceVersion') === '100')
        return sendStatus(response, 410, 'Expired')
      good([1, 2, 3, 4])(request, response)
    }
    const before = api.requests.length
    scene.host.sh('nft delete table ip outage')
    await until('the route to the new node', () => scene.kernel().includes('10.244.4.0/24'))
    const nodeRequests = api.requests.slice(before).filter(({ path }) => path === nodesPath())
    assert.deepEqual(
      nodeRequests.slice(0, 2).map((request) => isWatch(request)),
      [true, false],
      'one watch, whose 410 is followed by a list at once',
    )
  } finally {
    agent.kill('SIGTERM')
    if (agent.exitCode === null) await once(agent, 'exit')
  }
})

test('an agent that starts while the API is bad leaves the kernel as it is until it has seen the whole list', async () => {
  await using scene = new Scene()
  await using api = await FakeApi.start(good([1, 2, 3]), { fd: scene.host.netns.run(() => tcpListener(4, port)) })
  const first = scene.agent()
  await until('both routes', () => scene.kernel().match(/encap/g)?.length === 2)
  await until('all objects', async () => (await scene.status()).objects.every(({ state }) => state === 'done'))
  first.kill('SIGKILL')
  await once(first, 'exit')
  const before = scene.kernel()
  api.handler = bad['500']!
  const second = scene.agent()
  try {
    await until('the second agent', async () => (await scene.status()).readiness.state !== 'not ready')
    await sleep(500)
    assert.equal(scene.kernel(), before)
    api.handler = good([1, 3])
    await until('node 2 is gone', () => !scene.kernel().includes('10.244.2.0/24'), 60_000)
    assert.match(scene.kernel(), /10\.244\.3\.0\/24/)
  } finally {
    second.kill('SIGTERM')
    if (second.exitCode === null) await once(second, 'exit')
  }
})

test('a port for metrics that another process has is told, and taken when it is free; pods do not wait for it', async () => {
  await using scene = new Scene()
  await using _api = await FakeApi.start(good([1, 2]), { fd: scene.host.netns.run(() => tcpListener(4, port)) })
  const taken = scene.host.netns.run(() => tcpListener(6, 9474))
  const agent = scene.agent({ CAUSEWAY_HTTP_PORT: '9474' })
  try {
    await until('the agent', async () => (await scene.status()).readiness.state !== 'not ready')
    using pod = new TestNetns()
    const added = scene.cni('ADD', 'pod', pod.path)
    assert.equal(added.status, 0, added.stdout)
    const problem =
      /TCP port 9474 \(CAUSEWAY_HTTP_PORT\) cannot be used: .*EADDRINUSE.*"ss -ltnp sport = :9474" tells who has it/
    await until('the problem', async () => (await scene.status()).problems.some(({ message }) => problem.test(message)))
    closeSync(taken)
    const health = () => scene.host.sh('curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:9474/healthz || true')
    await until('health over TCP', () => health() === '200')
    assert.match(
      scene.host.sh('curl -s http://127.0.0.1:9474/metrics'),
      /causeway_cni_requests_total\{command="ADD",code="0"\} 1/,
    )
  } finally {
    agent.kill('SIGTERM')
    if (agent.exitCode === null) await once(agent, 'exit')
  }
})

test('a second agent for the same node ends with one line, and the first serves on', async () => {
  await using scene = new Scene()
  await using _api = await FakeApi.start(good([1]), { fd: scene.host.netns.run(() => tcpListener(4, port)) })
  const first = scene.agent()
  try {
    await until('the first agent', async () => (await scene.status()).readiness.state !== 'not ready')
    const { pid } = await scene.status()
    const second = scene.agent()
    const [code] = (await once(second, 'exit')) as [number]
    assert.equal(code, 1)
    assert.equal((await scene.status()).pid, pid)
  } finally {
    first.kill('SIGTERM')
    if (first.exitCode === null) await once(first, 'exit')
  }
})
