// An installed observer works with what its manifests give it, and with no less: the capabilities of its container, a read-only /proc/sys, its role.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { askAgent, followAgent } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { type TraceWatchLine } from '#/api/schemas/trace.ts'
import { observerCapabilities, observerManifests } from '#/install/observer.ts'
import { observerName } from '#/install/settings.ts'
import { dualStack as settings } from '#/install/testing/settings.ts'
import { type JsonObject } from '#/lab/api/json.ts'
import { TestServer } from '#/lab/api/testing.ts'
import {
  flannelAnnotationsOf,
  type FlannelHost,
  type FlannelPlan,
  nodeCommands,
  podCommands,
} from '#/lab/flannel/commands.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { tcpListener } from '#/sys/socket.ts'
import { isReady, mustAnswer } from '../ask.ts'
import { TestNetns } from './namespace.ts'
import { RecordingApi } from './recording-api.ts'

const root = new URL('../..', import.meta.url).pathname
const plan: FlannelPlan = {
  backend: 'vxlan',
  clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'].map((text) => Prefix.parse(text)),
  underlayMtuBytes: 1500,
}
const hosts = [1, 2].map((number): FlannelHost => ({
  name: `node-${number}`,
  addrs: [Addr.parse(`172.30.1.${number}`), Addr.parse(`fd30::${number}`)],
  podCIDRs: [Prefix.parse(`10.244.${number}.0/24`), Prefix.parse(`fd10:244:0:${number}::/64`)],
}))
const podAddrs = ['10.244.1.2', 'fd10:244:0:1::2']

async function create(server: TestServer, path: string, body: JsonObject): Promise<void> {
  const { code, text } = await server.call(path, { method: 'POST', body })
  assert.equal(code, 201, text)
}

async function createObjects(server: TestServer): Promise<void> {
  for (const host of hosts) {
    const podCIDRs = host.podCIDRs.map(String)
    await create(server, '/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: host.name, annotations: flannelAnnotationsOf(host, 'vxlan') },
      spec: { podCIDR: podCIDRs[0], podCIDRs },
      status: { addresses: host.addrs.map((addr) => ({ type: 'InternalIP', address: String(addr) })) },
    })
  }
  const path = '/api/v1/namespaces/default/pods'
  await create(server, path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'default', name: 'web' },
    spec: { containers: [{ name: 'c', image: 'c' }], nodeName: 'node-1' },
  })
  const status = { phase: 'Running', podIP: podAddrs[0], podIPs: podAddrs.map((ip) => ({ ip })) }
  const { code, text } = await server.call(`${path}/web/status`, {
    method: 'PATCH',
    type: 'application/merge-patch+json',
    body: { status },
  })
  assert.equal(code, 200, text)
}

/** Starts an observer as kubelet and runtime would. */
function startObserver(t: TestContext, host: TestNetns, folder: string): ChildProcess {
  const cluster = { name: 'c', cluster: { server: 'http://127.0.0.1:8080' } }
  const contexts = [{ name: 'c', context: { cluster: 'c', user: 'u' } }]
  const kubeconfig = join(folder, 'kubeconfig')
  const users = [{ name: 'u', user: {} }]
  writeFileSync(kubeconfig, JSON.stringify({ 'current-context': 'c', clusters: [cluster], contexts, users }))
  const granted = observerCapabilities.map((name) => `+${name.toLowerCase()}`).join(',')
  const confine = `setpriv --bounding-set=-all,${granted} --inh-caps=-all`
  const script = `mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec ${confine} "$0" src/cli/main.ts observe`
  const child = spawn('ip', ['netns', 'exec', host.name, 'sh', '-ec', script, process.execPath], {
    cwd: root,
    env: {
      ...process.env,
      CAUSEWAY_NODE_NAME: 'node-1',
      CAUSEWAY_RUN_DIR: join(folder, 'run'),
      CAUSEWAY_KUBECONFIG: kubeconfig,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()))
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    if (!t.passed) t.diagnostic(log)
  })
  return child
}

test('the observer does all it can with its capabilities, a read-only /proc/sys and its role', async (t) => {
  await using server = await TestServer.start()
  using host = new TestNetns()
  using pod = new TestNetns()
  const folder = mkdtempSync(join(tmpdir(), 'observe-rights-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'run'))
  await using api = await RecordingApi.start(server, { fd: host.netns.run(() => tcpListener(4, 8080)) })
  await createObjects(server)
  const [self, other] = hosts as [FlannelHost, FlannelHost]
  host.sh(`ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up
    ${self.addrs.map((addr) => `ip addr add ${addr}/${addr.family === 4 ? 24 : 64} dev eth0 ${addr.family === 6 ? 'nodad' : ''}`).join('\n')}`)
  host.sh(nodeCommands(self, [other], plan).join('\n'))
  const addrs = podAddrs.map((text) => Addr.parse(text))
  host.sh(podCommands({ netns: pod.name, hostDevice: 'veth1', addrs }, self, plan).join('\n'))
  startObserver(t, host, folder)
  const socket = join(folder, 'run/agent.sock')
  const deadlineMs = performance.now() + 30_000
  while (!(await isReady(socket))) {
    assert.ok(performance.now() < deadlineMs, 'it is not ready in time')
    await sleep(50)
  }
  const status = await mustAnswer(socket, 'status')
  assert.deepEqual(
    [status.problems, status.objects.map(({ state }) => state), status.endpoints.map((each) => each.hostDevice)],
    [[], Array.from({ length: 6 }, () => 'done'), ['veth1']],
  )
  const facts = await mustAnswer(socket, 'facts', { firewalls: 'yes' })
  assert.deepEqual(
    facts.namespaces.map((each) => [each.pod, each.error]),
    [
      [undefined, undefined],
      ['default/web', undefined],
    ],
  )
  assert.ok(facts.namespaces[0]!.links.some(({ name }) => name === 'flannel.1'))
  const asked = { src: podAddrs[0]!, dst: '10.244.2.2', protocol: 'icmp' } as const
  const { steps } = await mustAnswer(socket, 'tracePredict', asked)
  assert.ok(steps.some(({ kind, text }) => kind === 'nftables' && text.includes('lets it pass')))
  const lines: TraceWatchLine[] = []
  const enough = new AbortController()
  const watch = followAgent(
    socketTransport(socket),
    'traceWatch',
    { protocol: 'icmp', cookie: '0011223344556677', seconds: '5' },
    (line) => {
      lines.push(line)
      if (line.kind === 'ready')
        void askAgent(socketTransport(socket), 'traceSend', { ...asked, cookie: '0011223344556677', id: 7, seq: 1 })
      if (line.sighting?.device === 'eth0' && line.sighting.pod === undefined) enough.abort()
      if (line.kind === 'end') enough.abort()
    },
    { signal: enough.signal },
  )
  await watch
  const seen = lines.flatMap(({ sighting }) => sighting?.device ?? [])
  for (const device of ['eth0', 'veth1', 'cni0', 'flannel.1'])
    assert.ok(seen.includes(device), `${device}: ${JSON.stringify(lines)}`)
  assert.deepEqual(await askAgent(socketTransport(socket), 'plan'), {
    kind: 'refusal',
    status: 404,
    message: "this node has flannel's network and an observer, which only looks at it, and has no /v1/plan",
  })
  host.sh('iptables -w -I FORWARD -d 10.244.0.0/16 -j DROP')
  const { problems } = await mustAnswer(socket, 'status')
  assert.deepEqual(
    problems.map(({ code, object }) => `${code} ${object}`),
    ['CW7001 chain/ip filter FORWARD'],
  )
  const role = observerManifests(settings).find(
    ({ kind, metadata: { name } }) => kind === 'ClusterRole' && name === observerName,
  )!
  assert.deepEqual(role['rules'], [{ apiGroups: [''], resources: ['nodes', 'pods'], verbs: ['list', 'watch'] }])
  const wanted = ['nodes', 'pods'].flatMap((resource) => [`list ${resource}`, `watch ${resource}`])
  assert.deepEqual(
    [...new Set(api.asked.map(({ verb, resource }) => `${verb} ${resource}`))].toSorted(),
    wanted.toSorted(),
  )
})
