// What an agent tells of network policy, with real pods, rules and packets: what its kernel has, what was denied, and connections that are taken
// up since the log of denials shows that connection tracking has lost them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { policyListOf } from '#/agent/report/policy-list.ts'
import { PolicyReport } from '#/agent/report/policy-report.ts'
import { policyWhyOf } from '#/agent/report/policy-why.ts'
import { strictMismatchOf } from '#/api/read.ts'
import { policyListReport, policyWhyReport, type ToldDirection } from '#/api/schemas/policy.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { readDenied } from '#/datapath/programs.ts'
import { silent } from '#/lib/log.ts'
import { PolicyNode } from './policy-node.ts'
import { tcpClient } from './tcp-client.ts'

const onlyClients = {
  podSelector: { matchLabels: { app: 'web' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }],
}

function reportOf(node: PolicyNode): PolicyReport {
  const { policy, agent } = node
  return new PolicyReport({
    nodeName: 'node-1',
    policy,
    deniedEarly: agent.deniedEarly,
    readDeniedEarly: () => (agent.ebpf.current === undefined ? [] : readDenied(agent.ebpf.current)),
    hasConnection: (ends) => agent.pods.hasConnection(ends),
    log: silent,
  })
}

async function ingressOf(report: PolicyReport, from: string, to: string): Promise<ToldDirection> {
  const told = await policyWhyOf(report.sources, { from, to, port: '8080' })
  if (typeof told === 'string') assert.fail(told)
  assert.equal(strictMismatchOf(policyWhyReport, told), undefined)
  return told.pairs[0]!.ingress
}

// with ebpf the stranger's packet ends at its own device: a program denies it, and is told and counted like a rule
for (const datapath of ['bridge', 'ebpf'] as const) {
  test(`${datapath}: what is denied is counted, named, and explained with what the kernel has`, async () => {
    await using node = await PolicyNode.start(datapath)
    await node.setPolicy('web', onlyClients)
    using report = reportOf(node)
    await node.addPod('web', { app: 'web' })
    const stranger = await node.addPod('stranger', {})
    const client = await node.addPod('client', { role: 'client' })
    await eventually(() => report.listener.isListening, 'it listens')
    const knock = tcpClient(node.addrOf('web'), 8080, 'true')
    stranger.sh(knock)
    client.sh(knock)
    await eventually(() => report.listener.denials.recent.length > 0, 'a denial is told')
    const [denial, ...more] = report.listener.denials.recent
    assert.deepEqual(
      [denial!.from, denial!.to, denial!.protocol, denial!.port, denial!.by, denial!.direction],
      ['shop/stranger', 'shop/web', 'TCP', 8080, 'networkpolicy/shop/web', 'ingress'],
    )
    assert.deepEqual(more, [])
    const denied = await ingressOf(report, 'shop/stranger', 'shop/web')
    assert.deepEqual([denied.isDenied, denied.kernel?.isThere, denied.kernel?.denied], [true, true, 1])
    const allowed = await ingressOf(report, 'shop/client', 'shop/web')
    assert.deepEqual([allowed.isDenied, allowed.decidedBy], [false, 'networkpolicy/shop/web ingress 0'])
    const list = await policyListOf(report.sources)
    assert.equal(strictMismatchOf(policyListReport, list), undefined)
    const [policy] = list.policies
    assert.deepEqual(
      [policy!.policy, policy!.podsHere, policy!.rules[0]!.connections],
      ['networkpolicy/shop/web', 1, 1],
    )
    // somebody takes the pod's element out: until it is mended the answer says so
    const id = /chain in-(\w+)/.exec(denied.kernel!.text)![1]
    node.host.sh(`nft delete element inet causeway-policy in4-${id} '{ ${node.addrOf('web')} }'`)
    const lacking = await ingressOf(report, 'shop/stranger', 'shop/web')
    if (lacking.kernel?.isThere === false)
      assert.match(lacking.kernel.text, /has .* in none of the sets of its chain ingress4$/)
    for (
      let waitedMs = 0;
      (await ingressOf(report, 'shop/stranger', 'shop/web')).kernel?.isThere !== true;
      waitedMs += 50
    ) {
      assert.ok(waitedMs < 5000, 'it is mended')
      await sleep(50)
    }
  })
}

test('a connection that connection tracking has lost is taken up by what the log tells', async () => {
  await using node = await PolicyNode.start('bridge')
  await node.setPolicy('web', onlyClients)
  await node.setPolicy('closed', { podSelector: { matchLabels: { role: 'client' } }, ingress: [] })
  using _report = reportOf(node)
  const web = await node.addPod('web', { app: 'web' })
  const client = await node.addPod('client', { role: 'client' })
  const serve = `require('net').createServer((s) => setInterval(() => s.write('x'), 20)).listen(8090, '${node.addrOf('web')}')`
  await using made = new AsyncDisposableStack()
  const server = web.netns.run(() => spawn(process.execPath, ['-e', serve], { stdio: 'ignore' }))
  made.defer(() => void server.kill('SIGKILL'))
  const hear = `until exec 3<>/dev/tcp/${node.addrOf('web')}/8090; do sleep 0.05; done 2>/dev/null; exec cat <&3`
  const listener = client.netns.run(() => spawn('bash', ['-c', hear], { stdio: ['ignore', 'pipe', 'ignore'] }))
  made.defer(() => void listener.kill('SIGKILL'))
  let bytes = 0
  listener.stdout.on('data', (data: Buffer) => (bytes += data.length))
  await eventually(() => bytes > 5, 'data')
  for (let round = 0; round < 3; round++) {
    await node.loseConnections(8090)
    const before = bytes
    await eventually(() => bytes > before + 10, 'data again')
  }
})
