// Network policy in the parts of an agent, with real pods and packets: what changes while packets flow lets none through that is denied, and cuts
// nothing that is allowed.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Flow } from './ebpf-node.ts'
import { podObject } from '#/agent/policy/testing/policy-objects.ts'
import { podsPath } from '#/cluster/paths.ts'
import { flowEstablished } from '#/kernel/flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { Addr } from '#/lib/addr.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { codeOf, messageIn } from './pod-node.ts'
import { PolicyNode } from './policy-node.ts'
import { comesFrom, countIn, countOf, flood, onlyClients } from './policy-traffic.ts'

for (const datapath of ['bridge', 'ebpf'] as const) {
  test(`${datapath}: no packet reaches a pod before its policies hold, and its labels count from the first`, async () => {
    await using node = await PolicyNode.start(datapath)
    await node.setPolicy('web', onlyClients)
    const client = await node.addPod('client', { role: 'client' })
    const stranger = await node.addPod('stranger', {})
    // the next pod gets the next address
    const next = node.addrOf('stranger').replace(/\d+$/, (last) => String(Number(last) + 1))
    const ends = [flood(client, next), flood(stranger, next)]
    const web = node.newPod('web')
    countIn(web)
    const held = node.tryAdd('web')
    await sleep(200)
    assert.equal(node.agent.store.find({ containerId: 'web', ifName: 'eth0' }), undefined, 'it is held back')
    node.setLabels('web', { app: 'web' })
    const reply = await held
    assert.equal(codeOf(reply), 0, messageIn(reply))
    assert.equal(node.addrOf('web'), next)
    // the node asks for its MAC once a second
    await eventually(() => countOf(web, node.addrOf('client')) > 50, 'packets that are allowed')
    for (const end of ends) await end()
    assert.equal(countOf(web, node.addrOf('stranger')), 0, 'packets that are denied')
  })

  test(`${datapath}: connections that a change forbids end, by way of a Service too; all others go on`, async () => {
    await using node = await PolicyNode.start(datapath)
    await node.setPolicy('web', onlyClients)
    const client = await node.addPod('client', { role: 'client' })
    const other = await node.addPod('other', { role: 'client' })
    const web = await node.addPod('web', { app: 'web' }, countIn)
    const bystander = await node.addPod('bystander', {})
    node.host.sh(`nft add table ip services
      nft 'add chain ip services nat { type nat hook prerouting priority dstnat; }'
      nft add rule ip services nat ip daddr 10.96.0.10 tcp dport 80 dnat to ${node.addrOf('web')}:8080`)
    const served = { addr: node.addrOf('web'), port: 8080 }
    await using _direct = await Flow.start(client, web, node.addrOf('web'), 8081)
    await using _service = await Flow.start(client, web, '10.96.0.10', 80, { served })
    await using staying = await Flow.start(other, web, node.addrOf('web'), 8082)
    await using apart = await Flow.start(bystander, client, node.addrOf('client'), 8083)
    assert.ok(await comesFrom(web, node.addrOf('client')))
    await node.label('client', {})
    await eventually(() => node.policy.endedConnections === 2, 'both connections end')
    await sleep(50)
    assert.equal(await comesFrom(web, node.addrOf('client')), false, 'it is cut')
    for (const flow of [staying, apart]) assert.ok((await flow.end()).slowestMs < 1000)
    assert.equal(node.policy.endedConnections, 2)
  })

  test(`${datapath}: a connection that connection tracking has lost goes on, where its answers alone are denied`, async () => {
    await using node = await PolicyNode.start(datapath)
    await node.setPolicy('web', onlyClients)
    await node.setPolicy('closed', { podSelector: { matchLabels: { role: 'client' } }, ingress: [] })
    const web = await node.addPod('web', { app: 'web' })
    const client = await node.addPod('client', { role: 'client' }, countIn)
    // one side sends, and the other only acknowledges
    const serve = `require('net').createServer({ noDelay: true }, (s) => setInterval(() => s.write('x'), 20)).listen(8090, '${node.addrOf('web')}')`
    const server = web.netns.run(() => spawn(process.execPath, ['-e', serve], { stdio: 'ignore' }))
    await using made = new AsyncDisposableStack()
    made.defer(() => void server.kill('SIGKILL'))
    const hear = `until exec 3<>/dev/tcp/${node.addrOf('web')}/8090; do sleep 0.05; done 2>/dev/null; exec cat <&3 >/dev/null`
    const listener = client.netns.run(() => spawn('bash', ['-c', hear], { stdio: 'ignore' }))
    made.defer(() => void listener.kill('SIGKILL'))
    await eventually(() => countOf(client, node.addrOf('web')) > 5, 'data')
    const port = Number(/:(\d+)\s*$/m.exec(client.sh(`ss -Htn dst ${node.addrOf('web')} | awk '{ print $4 }'`))![1])
    const packet = {
      src: Addr.parse(node.addrOf('web')),
      dst: Addr.parse(node.addrOf('client')),
      protocol: 6,
      sourcePort: 8090,
      port,
      tcp: { flags: 0x18 },
    }
    const adopter = node.adopter(made)
    assert.equal(adopter.adopt({ ...packet, port: port + 1 }), false, 'there is no such connection')
    assert.equal(adopter.adopt({ ...packet, tcp: { flags: 2 } }), false, 'it opens one')
    // an acknowledgement that was under way takes the connection up again, as the one who opened it sends it
    let losses = 0
    do {
      await node.loseConnections(8090)
      assert.ok(++losses < 10, 'the kernel takes the answers for a connection')
    } while (await comesFrom(client, node.addrOf('web')))
    const before = countOf(client, node.addrOf('web'))
    assert.equal(adopter.adopt(packet), true)
    // the sender has doubled the time between its attempts
    await eventually(() => countOf(client, node.addrOf('web')) > before + 2, 'it goes on', 10_000)
    // what was ended stays so
    await node.label('client', {})
    await eventually(() => node.policy.endedConnections > 0, 'it ends')
    await node.label('client', { role: 'client' })
    assert.equal(adopter.adopt(packet), false)
  })
}

test('connections of a pod that is gone do not pass for those of the next pod with its address', async () => {
  await using node = await PolicyNode.start('bridge')
  await node.setPolicy('web', onlyClients)
  await node.addPod('web', { app: 'web' })
  const far = { src: Addr.parse('10.244.9.9'), srcPort: 5555, dst: Addr.parse(node.addrOf('web')), dstPort: 8080 }
  node.api.put(podsPath(), podObject('shop/far', { labels: { role: 'client' }, addrs: [String(far.src)] }))
  await eventually(() => node.policy.view.podAt(far.src) !== undefined, 'the pod is known')
  // a pod that comes and goes between two changes of the rules never was allowed
  await node.level()
  using netlink = new Netlink(NETLINK_NETFILTER)
  netlink.execute(flowEstablished(far))
  node.api.remove(podsPath(), 'shop/far')
  await eventually(() => node.policy.endedConnections === 1, 'its connection ends')
})
