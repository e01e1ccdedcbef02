// An installed agent and controller work with what the manifests give them, and with no less: capabilities, mounts, RBAC.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isReady } from '../ask.ts'
import { ClusterSettings } from '#/agent/cluster/cluster-settings.ts'
import { BgpObjects } from '#/agent/bgp/objects.ts'
import { BgpStatusWriter } from '#/agent/bgp/status-writer.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { clientFor } from '#/cluster/connect.ts'
import { nodePath } from '#/cluster/paths.ts'
import { EventRecorder } from '#/cluster/event-recorder.ts'
import { agentCapabilities } from '#/install/agent.ts'
import { applyAll } from '#/install/apply.ts'
import { definitions } from '#/install/definitions/index.ts'
import { manifests } from '#/install/manifests.ts'
import { agentName, controllerName } from '#/install/settings.ts'
import { clusterCIDRs, dualStack as settings } from '#/install/testing/settings.ts'
import { silent } from '#/lib/log.ts'
import { TestServer } from '#/lab/api/testing.ts'
import { fieldsOf, type KubeNode } from '#/model/kubernetes.ts'
import { tcpListener } from '#/sys/socket.ts'
import { TestNetns } from './namespace.ts'
import { type Asked, RecordingApi } from './recording-api.ts'

const root = new URL('../..', import.meta.url).pathname
const plugin = join(root, 'build/causeway-cni')
type Rule = {
  readonly namespace: string
  readonly groups: readonly string[]
  readonly resource: string
  readonly names: readonly string[]
  readonly verb: string
}

/** What the roles of an account allow, a verb of a resource each. */
function rulesOf(account: string): Rule[] {
  type Policy = { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] }
  return manifests(settings)
    .filter(({ kind, metadata }) => kind.endsWith('Role') && metadata.name === account)
    .flatMap(({ metadata: { namespace = '' }, ...role }) =>
      (role['rules'] as Policy[]).flatMap(({ apiGroups: groups, resources, resourceNames: names = [], verbs }) =>
        resources.flatMap((resource) => verbs.map((verb) => ({ namespace, groups, resource, names, verb }))),
      ),
    )
}

function allows({ namespace, groups, resource, names, verb }: Rule, asked: Asked): boolean {
  return (
    (namespace === '' || namespace === asked.namespace) &&
    groups.includes(asked.group) &&
    resource === asked.resource &&
    verb === asked.verb &&
    (names.length === 0 || names.includes(asked.name))
  )
}

/** Every request is allowed, and every rule was needed. */
function assertJustEnough(account: string, asked: readonly Asked[]): void {
  const rules = rulesOf(account)
  const denied = asked.filter((each) => !rules.some((rule) => allows(rule, each)))
  assert.deepEqual(denied, [], 'requests that the roles do not allow')
  const idle = rules.filter((rule) => !asked.some((each) => allows(rule, each)))
  assert.deepEqual(idle, [], 'rules that nothing needs')
}

async function eventually(what: string, probe: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await probe())) {
    assert.ok(performance.now() < deadlineMs, `${what}: not within ${timeoutMs} ms`)
    await sleep(50)
  }
}

async function clientOf(api: RecordingApi): Promise<ApiClient> {
  const config = { server: new URL(`http://127.0.0.1:${api.port}`), insecure: false }
  return clientFor(config)
}

/** What the agent asks for BGP: its objects, the password of a session, and a BGPNode with a status. */
async function askedForBgp(server: TestServer): Promise<readonly Asked[]> {
  await using api = await RecordingApi.start(server)
  await using client = await clientOf(api)
  await applyAll(client, definitions, { isDryRun: false, say: () => {} })
  // not the agent's own node: that would have two writers
  await createNode(server, 'node-2')
  const node = await client.get<KubeNode>(nodePath('node-2'))
  api.asked.length = 0
  let changes = 0
  const options = { nodeName: 'node-2', namespace: settings.namespace }
  await using objects = new BgpObjects(options, { client, log: silent, onChange: () => (changes += 1) })
  objects.start()
  await using clusterSettings = new ClusterSettings({ client, log: silent, onChange: () => (changes += 1) })
  clusterSettings.start()
  objects.want([{ namespace: settings.namespace, name: 'password', key: 'password' }])
  await eventually('all objects', () => objects.isComplete && objects.snapshot.secrets.size === 1)
  const watched = () => api.asked.some(({ verb, resource }) => verb === 'watch' && resource === 'routings')
  await eventually('the watch of the settings', watched)
  await using writer = new BgpStatusWriter({
    client,
    live: () => objects.ownObject,
    node: () => node,
    report: async () => ({ routerId: '', asn: 1, role: 'mesh', peers: [], routes: { learned: 0, installed: 0 } }),
    log: silent,
  })
  writer.start()
  await eventually('the status', () => fieldsOf(fieldsOf(objects.ownObject)['status'])['role'] === 'mesh')
  assert.ok(changes > 0)
  return api.asked
}

/** An event that comes again within an hour is raised in count, which takes longer than a test: so the recorder does it here. */
async function askedForRepeatedEvent(server: TestServer): Promise<readonly Asked[]> {
  await using api = await RecordingApi.start(server)
  await using client = await clientOf(api)
  await using recorder = new EventRecorder({ component: 'test', instance: 'test' }, { client, log: silent })
  for (const count of [1, 2]) {
    recorder.record({ apiVersion: 'v1', kind: 'Node', name: 'node-1' }, 'Warning', 'Test', 'again')
    await eventually('the event', () => api.asked.length === count)
  }
  return api.asked
}

function start(t: TestContext, command: string, args: string[], env: Record<string, string>): ChildProcess {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()))
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    if (!t.passed) t.diagnostic(log)
  })
  return child
}

async function createNode(server: TestServer, name: string, podCIDRs: readonly string[] = []): Promise<void> {
  const body = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: podCIDRs.length === 0 ? {} : { podCIDR: podCIDRs[0]!, podCIDRs: [...podCIDRs] },
    status: { addresses: [{ type: 'InternalIP', address: '172.30.1.11' }] },
  }
  const { code, text } = await server.call('/api/v1/nodes', { method: 'POST', body })
  assert.equal(code, 201, text)
}

function kubeconfigIn(folder: string, port: number): string {
  const path = join(folder, 'kubeconfig')
  const cluster = { name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }
  const contexts = [{ name: 'c', context: { cluster: 'c', user: 'u' } }]
  const users = [{ name: 'u', user: {} }]
  writeFileSync(path, JSON.stringify({ 'current-context': 'c', clusters: [cluster], contexts, users }))
  return path
}

test('the agent wires pods with its capabilities, a read-only /proc/sys and its roles', async (t) => {
  await using server = await TestServer.start()
  using host = new TestNetns()
  host.sh(
    'ip link set lo up; ip link add eth0 type veth peer name eth1; ip addr add 172.30.1.11/24 dev eth0; ip link set eth0 up; ip link set eth1 up',
  )
  await using api = await RecordingApi.start(server, { fd: host.netns.run(() => tcpListener(4, 8080)) })
  await createNode(server, 'node-1', ['10.244.1.0/24', 'fd10:244:0:1::/64'])
  const folder = mkdtempSync(join(tmpdir(), 'least-rights-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const sys = join(folder, 'sys')
  mkdirSync(join(sys, 'net'), { recursive: true })
  // as kubelet and runtime make it: the node's sysctls beside a read-only /proc/sys, and no capability but those granted
  const prepare = `mount --bind /proc/sys/net ${sys}/net; mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys`
  const granted = agentCapabilities.map((name) => `+${name.toLowerCase()}`).join(',')
  const confine = `setpriv --bounding-set=-all,${granted} --inh-caps=-all`
  const script = `set -e; ${prepare}; exec ${confine} "$0" src/cli/main.ts agent`
  const run = join(folder, 'run')
  start(t, 'ip', ['netns', 'exec', host.name, 'sh', '-c', script, process.execPath], {
    CAUSEWAY_NODE_NAME: 'node-1',
    CAUSEWAY_CLUSTER_CIDRS: clusterCIDRs,
    CAUSEWAY_STATE_DIR: join(folder, 'state'),
    CAUSEWAY_RUN_DIR: run,
    CAUSEWAY_KUBECONFIG: kubeconfigIn(folder, 8080),
    CAUSEWAY_PROC_SYS: sys,
    CAUSEWAY_CNI_BIN_DIR: join(folder, 'bin'),
    CAUSEWAY_CNI_CONF_DIR: join(folder, 'net.d'),
    CAUSEWAY_CNI_PLUGIN: plugin,
    // missing, for the sake of an event
    CAUSEWAY_CNI_CHAIN: 'tuning',
  })
  await eventually('readiness', async () => isReady(join(run, 'agent.sock')))
  await eventually('forwarding', () => host.sh('cat /proc/sys/net/ipv4/ip_forward').trim() === '1')

  // the namespace of a pod that comes after the agent
  using pod = new TestNetns()
  const conflist = join(folder, 'net.d/10-causeway.conflist')
  await eventually('the CNI configuration', () => existsSync(conflist))
  const { name, cniVersion, plugins } = JSON.parse(readFileSync(conflist, 'utf8')) as Record<string, unknown>
  const added = spawnSync(join(folder, 'bin/causeway-cni'), {
    encoding: 'utf8',
    input: JSON.stringify({ name, cniVersion, ...fieldsOf((plugins as unknown[])[0]) }),
    env: {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'c1',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: pod.path,
      CNI_PATH: join(folder, 'bin'),
      CAUSEWAY_CNI_SOCKET: join(run, 'cni.sock'),
      CAUSEWAY_CNI_SPOOL: join(folder, 'spool'),
    },
  })
  assert.equal(added.status, 0, added.stdout)
  for (const gateway of ['10.244.1.1', 'fd10:244:0:1::1']) pod.sh(`ping -c1 -W2 ${gateway}`)

  await eventually('the event', () => api.asked.some(({ resource }) => resource === 'events'))
  await eventually('the condition', () => api.asked.some(({ resource }) => resource === 'nodes/status'))
  assertJustEnough(agentName, [...api.asked, ...(await askedForRepeatedEvent(server)), ...(await askedForBgp(server))])
})

/** Makes an object of each kind that has a status of many nodes. */
async function createObjects(server: TestServer): Promise<void> {
  for (const [plural, kind, spec] of [
    ['routings', 'Routing', {}],
    ['bgpconfigurations', 'BGPConfiguration', {}],
    ['bgppeers', 'BGPPeer', { peerAddress: '172.30.1.1', peerASN: 65_001 }],
  ] as const) {
    const body = { apiVersion: 'causeway.dev/v1alpha1', kind, metadata: { name: 'default' }, spec }
    const { code, text } = await server.call(`/apis/causeway.dev/v1alpha1/${plural}`, { method: 'POST', body })
    assert.equal(code, 201, text)
  }
}

test('the controller gives pod CIDRs and writes statuses with its roles', async (t) => {
  await using server = await TestServer.start()
  {
    await using api = await RecordingApi.start(server)
    await using client = await clientOf(api)
    await applyAll(client, definitions, { isDryRun: false, say: () => {} })
  }
  await createObjects(server)
  await using api = await RecordingApi.start(server)
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: settings.namespace } }
  await server.call('/api/v1/namespaces', { method: 'POST', body: namespace })
  await createNode(server, 'node-1')
  // somebody else changes the node between the controller's look and its write
  let isChanged = false
  api.onRequest = async ({ verb, resource }) => {
    if (isChanged || verb !== 'patch' || resource !== 'nodes') return
    isChanged = true
    const body = { metadata: { labels: { changed: 'yes' } } }
    await server.call('/api/v1/nodes/node-1', { method: 'PATCH', type: 'application/merge-patch+json', body })
  }
  const folder = mkdtempSync(join(tmpdir(), 'least-rights-'))
  t.after(() => rmSync(folder, { recursive: true }))
  start(t, process.execPath, ['src/cli/main.ts', 'controller'], {
    CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/24',
    CAUSEWAY_LEASE_NAMESPACE: settings.namespace,
    CAUSEWAY_KUBECONFIG: kubeconfigIn(folder, api.port),
  })
  await eventually('the pod CIDR', async () =>
    (await server.call('/api/v1/nodes/node-1')).text.includes('10.244.0.0/24'),
  )
  // the only slot is taken: an event
  await createNode(server, 'node-2')
  await eventually('the event', () => api.asked.some(({ resource }) => resource === 'events'))
  for (const resource of ['routings', 'bgpconfigurations', 'bgppeers'])
    await eventually(`the status of ${resource}`, () =>
      api.asked.some((each) => each.resource === `${resource}/status`),
    )
  await eventually('the lease renewed', () =>
    api.asked.some(({ verb, resource }) => `${verb} ${resource}` === 'update leases'),
  )
  assertJustEnough(controllerName, [...api.asked, ...(await askedForRepeatedEvent(server))])
})
