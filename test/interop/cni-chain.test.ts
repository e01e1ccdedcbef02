// Causeway in a chain with the plugins that everybody uses, as a runtime executes it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveEcho } from '#/lab/probe/echo.ts'
import { TestNetns } from '../netns/namespace.ts'
import { type Chain, CniNode } from './cni-runner.ts'

const chainOf = (cniVersion: string): Chain => ({
  cniVersion,
  plugins: [
    { type: 'causeway-cni' },
    { type: 'tuning', mtu: 1400, sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } },
    { type: 'portmap', snat: true, capabilities: { portMappings: true } },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
  ],
})

const args = {
  portMappings: [{ hostPort: 18_080, containerPort: 8080, protocol: 'tcp' }],
  // the plugin shapes what a pod sends by an ifb device, which not every kernel has
  bandwidth: { ingressRate: 80_000_000, ingressBurst: 800_000 },
}

for (const version of ['0.4.0', '1.0.0']) {
  test(`tuning, portmap and bandwidth after us, in version ${version}: they find what they need, and leave nothing`, async () => {
    await using runner = await CniNode.start()
    using pod = new TestNetns()
    const { host } = runner.node
    host.sh('ip link set lo up')
    const chain = chainOf(version)
    const where = { id: 'pod', netns: pod.path }
    const result = await runner.add(chain, where, args)
    assert.match(pod.sh('ip link show eth0'), /mtu 1400/)
    assert.match(host.sh('tc qdisc show'), /qdisc tbf 1: dev cwv\w+ root .*rate 80Mbit/)
    assert.match(host.sh('iptables -t nat -S'), /--to-destination 10\.244\.1\.2:8080/)
    const echo = await serveEcho(pod.netns, 'pod')
    try {
      const client = 'exec 3<>/dev/tcp/10.244.1.1/18080; echo probe >&3; head -n 1 <&3'
      const answer = await host.shAsync(`timeout 5 bash -c '${client}'`)
      assert.match(answer, /"pod"/)
    } finally {
      await echo[Symbol.asyncDispose]()
    }
    // the CHECK of portmap 1.1.1 looks for the rules of each family in the tables of both, and so always fails
    const checked = { ...chain, plugins: chain.plugins.filter(({ type }) => type !== 'portmap') }
    assert.equal(await runner.check(checked, where, result, args), '')
    pod.sh('ip route del default')
    assert.match(
      await runner.check(checked, where, result, args),
      /^causeway-cni: .*the route to 0\.0\.0\.0\/0 via 10\.244\.1\.1 is gone/,
    )
    for (let turn = 0; turn < 2; turn++) await runner.del(chain, where, result, args)
    assert.doesNotMatch(host.sh('iptables -t nat -S'), /10\.244\.1\.2/)
    assert.equal(host.sh('ip -br link show type veth'), '')
    assert.deepEqual(runner.node.store.list(), [])
  })
}

test('after another plugin that made an interface: both are in the result, and CHECK and DEL work', async () => {
  await using runner = await CniNode.start()
  using pod = new TestNetns()
  const chain = { cniVersion: '1.0.0', plugins: [{ type: 'loopback' }, { type: 'causeway-cni' }] }
  const where = { id: 'pod', netns: pod.path }
  const result = (await runner.add(chain, where)) as { interfaces: { name: string }[]; ips: { interface: number }[] }
  assert.deepEqual(
    result.interfaces.map(({ name }) => name.slice(0, 3)),
    ['lo', 'cwv', 'eth'],
  )
  assert.deepEqual(
    result.ips.slice(-2).map((ip) => result.interfaces[ip.interface]!.name),
    ['eth0', 'eth0'],
  )
  const { output } = await runner.exec('causeway-cni', 'CHECK', where, {
    cniVersion: '1.0.0',
    name: 'causeway',
    type: 'causeway-cni',
    prevResult: result,
  })
  assert.equal(output, '')
  await runner.del(chain, where, result)
  assert.deepEqual(runner.node.store.list(), [])
})
