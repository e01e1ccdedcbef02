// An installed agent and controller work with what the manifests give them, and with no less: capabilities, mounts, RBAC.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isReady, mustAnswer } from '../ask.ts'
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
import { policyDefinition } from '#/lab/policy-definition.ts'
import { ensureBpffs } from '#/lab/bpffs.ts'
import { fieldsOf, type KubeNode } from '#/model/kubernetes.ts'
import { unmount } from '#/sys/mounts.ts'
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
    await end(child)
    if (!t.passed) t.diagnostic(log)
  })
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
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

/** A node with an agent that has what a container of the DaemonSet has: sysctls beside a read-only /proc/sys, and no capability but its own. */
class ConfinedNode implements AsyncDisposable {
  readonly #made = new AsyncDisposableStack()
  readonly host = this.#made.use(new TestNetns())
  readonly folder = mkdtempSync(join(tmpdir(), 'least-rights-'))
  readonly run = join(this.folder, 'run')
  readonly #sys = join(this.folder, 'sys')

  constructor() {
    this.#made.defer(() => rmSync(this.folder, { recursive: true }))
    this.host.sh(
      'ip link set lo up; ip link add eth0 type veth peer name eth1; ip addr add 172.30.1.11/24 dev eth0; ip link set eth0 up; ip link set eth1 up',
    )
    mkdirSync(join(this.#sys, 'net'), { recursive: true })
  }

  /** Starts a command of Causeway in there, as kubelet and runtime would. */
  start(t: TestContext, args: readonly string[], env: Record<string, string>): ChildProcess {
    const prepare = `mount --bind /proc/sys/net ${this.#sys}/net; mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys`
    const granted = agentCapabilities.map((name) => `+${name.toLowerCase()}`).join(',')
    const confine = `setpriv --bounding-set=-all,${granted} --inh-caps=-all`
    const script = `set -e; ${prepare}; exec ${confine} "$0" src/cli/main.ts ${args.join(' ')}`
    const child = start(t, 'ip', ['netns', 'exec', this.host.name, 'sh', '-c', script, process.execPath], {
      CAUSEWAY_STATE_DIR: join(this.folder, 'state'),
      CAUSEWAY_RUN_DIR: this.run,
      CAUSEWAY_PROC_SYS: this.#sys,
      CAUSEWAY_CNI_BIN_DIR: join(this.folder, 'bin'),
      CAUSEWAY_CNI_CONF_DIR: join(this.folder, 'net.d'),
      ...env,
    })
    this.#made.defer(() => end(child))
    return child
  }

  /** Starts the agent and waits until it is ready. */
  async startAgent(t: TestContext, env: Record<string, string>): Promise<ChildProcess> {
    const agent = this.start(t, ['agent'], {
      CAUSEWAY_NODE_NAME: 'node-1',
      CAUSEWAY_CLUSTER_CIDRS: clusterCIDRs,
      CAUSEWAY_KUBECONFIG: kubeconfigIn(this.folder, 8080),
      CAUSEWAY_CNI_PLUGIN: plugin,
      ...env,
    })
    await eventually('readiness', async () => isReady(join(this.run, 'agent.sock')))
    return agent
  }

  /** Adds a pod, in a namespace that is made after the agent was started. */
  async addPod(args = ''): Promise<TestNetns> {
    const pod = this.#made.use(new TestNetns())
    const conflist = join(this.folder, 'net.d/10-causeway.conflist')
    await eventually('the CNI configuration', () => existsSync(conflist))
    const { name, cniVersion, plugins } = JSON.parse(readFileSync(conflist, 'utf8')) as Record<string, unknown>
    const added = spawnSync(join(this.folder, 'bin/causeway-cni'), {
      encoding: 'utf8',
      input: JSON.stringify({ name, cniVersion, ...fieldsOf((plugins as unknown[])[0]) }),
      env: {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'c1',
        CNI_ARGS: args,
        CNI_IFNAME: 'eth0',
        CNI_NETNS: pod.path,
        CNI_PATH: join(this.folder, 'bin'),
        CAUSEWAY_CNI_SOCKET: join(this.run, 'cni.sock'),
        CAUSEWAY_CNI_SPOOL: join(this.folder, 'spool'),
      },
    })
    assert.equal(added.status, 0, added.stdout)
    return pod
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
  }
}

/** The addresses of node-1 on its bridge. */
const gateways = ['10.244.1.1', 'fd10:244:0:1::1']
const podCIDRs = ['10.244.1.0/24', 'fd10:244:0:1::/64']

test('the agent wires pods with its capabilities, a read-only /proc/sys and its roles', async (t) => {
  await using server = await TestServer.start()
  await using node = new ConfinedNode()
  await using api = await RecordingApi.start(server, { fd: node.host.netns.run(() => tcpListener(4, 8080)) })
  await createNode(server, 'node-1', podCIDRs)
  await definePolicies(server)
  await createPolicedPod(server)
  // missing, for the sake of an event
  await node.startAgent(t, { CAUSEWAY_CNI_CHAIN: 'tuning' })
  await eventually('forwarding', () => node.host.sh('cat /proc/sys/net/ipv4/ip_forward').trim() === '1')
  const pod = await node.addPod('K8S_POD_NAMESPACE=default;K8S_POD_NAME=c1')
  for (const gateway of gateways) pod.sh(`ping -c1 -W2 ${gateway}`)
  const { policy, objects } = await mustAnswer(join(node.run, 'agent.sock'), 'status')
  assert.deepEqual([policy?.state, policy?.policies, policy?.selecting], ['enforced', 1, 1])
  assert.deepEqual(
    objects.filter(({ kind }) => kind === 'policy-table').map(({ key, state }) => `${key}: ${state}`),
    ['inet causeway-policy: done', 'bridge causeway-policy: done'],
  )

  await eventually('the event', () => api.asked.some(({ resource }) => resource === 'events'))
  await eventually('the condition', () => api.asked.some(({ resource }) => resource === 'nodes/status'))
  assertJustEnough(agentName, [...api.asked, ...(await askedForRepeatedEvent(server)), ...(await askedForBgp(server))])
})

test('with the eBPF datapath the agent needs the bpffs besides, and neither needs clean more', async (t) => {
  await using server = await TestServer.start()
  await using node = new ConfinedNode()
  await using _api = await RecordingApi.start(server, { fd: node.host.netns.run(() => tcpListener(4, 8080)) })
  await createNode(server, 'node-1', podCIDRs)
  const bpffs = join(node.folder, 'bpf')
  await using made = new AsyncDisposableStack()
  made.defer(() => unmount(bpffs))
  ensureBpffs(bpffs)
  const bpf = { CAUSEWAY_BPF_DIR: join(bpffs, 'causeway') }
  const agent = await node.startAgent(t, { ...bpf, CAUSEWAY_DATAPATH: 'ebpf' })
  const pod = await node.addPod()
  for (const gateway of gateways) pod.sh(`ping -c1 -W2 ${gateway}`)
  const status = () => mustAnswer(join(node.run, 'agent.sock'), 'status')
  await eventually('programs at the pod', async () => {
    const { objects } = await status()
    const ofPod = objects.filter(({ kind, key }) => kind === 'attachment' && key.startsWith('cwv'))
    return ofPod.length === 2 && ofPod.every(({ state }) => state === 'done')
  })
  const { datapath, problems } = await status()
  assert.deepEqual(datapath, { wanted: 'ebpf', wantedBy: 'CAUSEWAY_DATAPATH', name: 'ebpf' })
  assert.deepEqual(
    problems.filter(({ code }) => code.startsWith('CW32')),
    [],
  )
  await end(agent)
  assert.ok(existsSync(bpf.CAUSEWAY_BPF_DIR), 'programs go on without the agent')
  const [code] = (await once(node.start(t, ['clean'], bpf), 'exit')) as [number | null]
  assert.equal(code, 0)
  assert.ok(!existsSync(bpf.CAUSEWAY_BPF_DIR))
})

/** Has the API know ClusterNetworkPolicies, which causeway.dev does not define. */
async function definePolicies(server: TestServer): Promise<void> {
  await using api = await RecordingApi.start(server)
  await using client = await clientOf(api)
  await applyAll(client, [policyDefinition], { isDryRun: false, say: () => {} })
}

/** A pod of the name c1 that may be reached by nobody but its node. */
async function createPolicedPod(server: TestServer): Promise<void> {
  const metadata = { namespace: 'default', name: 'c1' }
  const spec = { containers: [{ name: 'c', image: 'c' }], nodeName: 'node-1' }
  const policy = { podSelector: {}, policyTypes: ['Ingress'] }
  for (const [path, body] of [
    ['/api/v1/namespaces/default/pods', { apiVersion: 'v1', kind: 'Pod', metadata, spec }],
    [
      '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
      { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: policy },
    ],
  ] as const) {
    const { code, text } = await server.call(path, { method: 'POST', body })
    assert.equal(code, 201, text)
  }
}

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
  await definePolicies(server)
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
  for (const plural of ['networkpolicies', 'clusternetworkpolicies'])
    await eventually(`the watch of ${plural}`, () =>
      api.asked.some(({ verb, resource }) => verb === 'watch' && resource === plural),
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
