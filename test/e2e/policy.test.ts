// Network policies in a lab whose nodes have different datapaths: applied with kubectl, seen in the matrix, and holding while agents and the API
// are away.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, suite, test } from 'node:test'
import { causeway, countPackets, eventually, must, run, TestLab, type UpReport } from './harness.ts'

const place = {
  'shop/web': { labels: 'app: web', node: 'node-1' },
  'shop/cart': { labels: 'app: cart', node: 'node-2' },
  'db/pg': { labels: 'app: pg', node: 'node-1' },
  'db/replica': { labels: 'app: pg', node: 'node-3' },
} as const
type PodName = keyof typeof place

const netnsOf = (name: PodName): string => `pod-${name.replace('/', '-')}`

function podYaml(name: PodName): string {
  const [namespace, pod] = name.split('/')
  const { labels, node } = place[name]
  return `
apiVersion: v1
kind: Pod
metadata: {name: ${pod}, namespace: ${namespace}, labels: {${labels}}}
spec: {nodeName: ${node}, containers: [{name: main, image: any, ports: [{name: echo, containerPort: 8080}]}]}
---`
}

/** Pods of db receive nothing but what pods app=web of shop send to the port that they call "echo". */
const onlyWeb = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-web, namespace: db}
spec:
  podSelector: {}
  ingress:
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}, podSelector: {matchLabels: {app: web}}}]
    ports: [{port: echo}]
`

const noShop = `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-shop}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  egress: [{name: to-db, action: Deny, to: [{pods: {podSelector: {matchLabels: {app: pg}}}}]}]
`

suite('network policies', { timeout: 240_000 }, () => {
  const lab = new TestLab()
  after(() => lab[Symbol.dispose]())
  const kubectl = (...args: string[]): string => lab.kubectl(...args)
  const apply = (yaml: string): string => {
    const { status, stdout, stderr } = run('sh', ['-c', 'printf %s "$YAML" | kubectl apply -f -'], {
      KUBECONFIG: lab.kubeconfig,
      YAML: yaml,
    })
    assert.equal(status, 0, stderr)
    return stdout
  }

  /** The matrix: all that is told of a pair of pods, such as "icmp v4 denied". Nothing in it may leak, and nothing be broken. */
  const matrix = (): ((from: string, to: string) => string[]) => {
    const { status, stdout, stderr } = run(causeway, ['lab', 'status', '--name', lab.name, '--json'])
    const { probes } = JSON.parse(stdout) as UpReport
    assert.deepEqual(
      probes.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'denied'),
      [],
      stderr,
    )
    assert.equal(status, 0, stderr)
    return (from, to) =>
      probes
        .filter((probe) => probe.from === from && probe.to === to)
        .map(({ protocol, family, outcome }) => `${protocol} v${family} ${outcome}`)
  }
  const allOk = ['icmp v4 ok', 'tcp v4 ok', 'icmp v6 ok', 'tcp v6 ok']
  const allDenied = allOk.map((each) => each.replace('ok', 'denied'))
  const tcpOnly = ['icmp v4 denied', 'tcp v4 ok', 'icmp v6 denied', 'tcp v6 ok']

  const addressOf = (name: PodName): string => {
    const [namespace = '', pod = ''] = name.split('/')
    return kubectl('get', 'pod', '-n', namespace, pod, '-o', 'jsonpath={.status.podIP}')
  }
  /** Pings that go on until they are stopped. */
  const pinging = (from: PodName, to: PodName) =>
    countPackets(`cw-${lab.name}-${netnsOf(from)}`, addressOf(to), Infinity, 0.02)
  /** Pings of which none should be answered; `stop` tells how many were. */
  const tryingInVain = (from: PodName, to: PodName) => {
    const netns = `cw-${lab.name}-${netnsOf(from)}`
    const child = spawn('ip', ['netns', 'exec', netns, 'ping', '-q', '-n', '-i', '0.02', addressOf(to)])
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const closed = once(child, 'close')
    return {
      async stop(): Promise<{ sent: number; answered: number }> {
        child.kill('SIGINT')
        await closed
        const [, sent, answered] = /(\d+) packets transmitted, (\d+) received/.exec(output) ?? []
        assert.ok(sent !== undefined, output)
        return { sent: Number(sent), answered: Number(answered) }
      },
    }
  }
  const isAnswered = (from: PodName, to: PodName): boolean =>
    lab.inside(netnsOf(from), 'ping', '-c', '1', '-W', '1', addressOf(to)).status === 0

  test('a lab with pods in three namespaces', () => {
    lab.up('--nodes', '3', '--pods', '1', '--datapath', 'mixed')
    for (const namespace of ['shop', 'db']) kubectl('create', 'namespace', namespace)
    apply((Object.keys(place) as PodName[]).map(podYaml).join(''))
    for (const namespace of ['shop', 'db'])
      kubectl('wait', '-n', namespace, '--for=condition=Ready', 'pod', '--all', '--timeout=60s')
    const cell = matrix()
    assert.deepEqual(cell('shop/cart', 'db/pg'), allOk)
  })

  test('a policy holds as soon as it is applied, for packets under way too, and others go on', async () => {
    const cut = tryingInVain('shop/cart', 'db/replica')
    const allowed = pinging('shop/cart', 'shop/web')
    await eventually('pings', () => isAnswered('shop/cart', 'db/replica'))
    apply(onlyWeb)
    await eventually('pings are denied', () => !isAnswered('shop/cart', 'db/replica'))
    const cell = matrix()
    assert.deepEqual(cell('shop/web', 'db/pg'), tcpOnly)
    assert.deepEqual(cell('shop/web', 'db/replica'), tcpOnly)
    for (const from of ['shop/cart', 'web-1', 'web-2', 'web-3']) {
      assert.deepEqual(cell(from, 'db/pg'), allDenied, from)
      assert.deepEqual(cell(from, 'db/replica'), allDenied, from)
    }
    // also within the namespace, and on one node as well as between two
    assert.deepEqual(cell('db/pg', 'db/replica'), allDenied)
    assert.deepEqual(cell('db/pg', 'shop/web'), allOk)
    assert.equal((await allowed.stop()).lost, 0)
    const { sent, answered } = await cut.stop()
    assert.ok(answered > 0 && answered < sent, `${answered} of ${sent} answered`)
  })

  test('labels of pods and namespaces count as soon as they change', () => {
    kubectl('label', 'pod', '-n', 'shop', 'cart', 'app=web', '--overwrite')
    assert.deepEqual(matrix()('shop/cart', 'db/pg'), tcpOnly)
    kubectl('label', 'pod', '-n', 'shop', 'cart', 'app=cart', '--overwrite')
    assert.deepEqual(matrix()('shop/cart', 'db/pg'), allDenied)
  })

  test('policies hold, and what they allow goes on, while agents and the API are away and come back', async () => {
    const denied = [tryingInVain('shop/cart', 'db/replica'), tryingInVain('db/replica', 'db/pg')]
    const allowed = [pinging('shop/cart', 'shop/web'), pinging('db/pg', 'shop/cart')]
    const replica = addressOf('db/replica')
    const pg = addressOf('db/pg')
    lab.kill('agent-')
    lab.kill('api')
    assert.notEqual(lab.inside(netnsOf('db/replica'), 'ping', '-c', '1', '-W', '1', pg).status, 0)
    assert.equal(lab.ask(netnsOf('shop/web'), replica).pod, 'db/replica')
    must(causeway, 'lab', 'up', '--name', lab.name, '--json')
    const cell = matrix()
    assert.deepEqual(cell('shop/web', 'db/replica'), tcpOnly)
    assert.deepEqual(cell('shop/cart', 'db/replica'), allDenied)
    for (const ping of denied) {
      const { sent, answered } = await ping.stop()
      assert.ok(sent > 50 && answered === 0, `${answered} of ${sent} denied pings were answered`)
    }
    for (const ping of allowed) assert.equal((await ping.stop()).lost, 0)
  })

  test('a namespace that is audited gets what policies deny', () => {
    kubectl('annotate', 'namespace', 'db', 'causeway.dev/network-policy=audit')
    assert.deepEqual(matrix()('shop/cart', 'db/pg'), allOk)
    kubectl('annotate', 'namespace', 'db', 'causeway.dev/network-policy-')
    assert.deepEqual(matrix()('shop/cart', 'db/pg'), allDenied)
  })

  test('a ClusterNetworkPolicy is asked before NetworkPolicies', () => {
    apply(noShop)
    const cell = matrix()
    assert.deepEqual(cell('shop/web', 'db/pg'), allDenied)
    assert.deepEqual(cell('shop/web', 'shop/cart'), allOk)
    kubectl('delete', 'clusternetworkpolicy', 'no-shop')
    assert.deepEqual(matrix()('shop/web', 'db/pg'), tcpOnly)
  })

  test('without policies everything is as before', () => {
    kubectl('delete', 'networkpolicy', '-n', 'db', 'only-web')
    const cell = matrix()
    assert.deepEqual(cell('shop/cart', 'db/pg'), allOk)
    assert.deepEqual(cell('db/pg', 'db/replica'), allOk)
  })
})
