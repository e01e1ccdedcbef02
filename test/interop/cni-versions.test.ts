// One CNI call as every version sees it, and calls that come at the same time or with malice: through shim and server.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestNetns } from '../netns/namespace.ts'
import { CniNode, type Json, type Pod } from './cni-runner.ts'

function config(cniVersion: string, more: Json = {}): Json {
  return { cniVersion, name: 'causeway', type: 'causeway-cni', ...more }
}

type Result = {
  cniVersion: string
  interfaces: { name: string; mac: string; mtu?: number; sandbox?: string }[]
  ips: { version?: string; address: string; gateway: string; interface: number }[]
  routes: { dst: string; gw: string; mtu?: number }[]
}

for (const version of ['0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
  test(`version ${version}: ADD answers in it, CHECK takes it back, DEL ends it`, async () => {
    await using runner = await CniNode.start()
    using pod = new TestNetns()
    const where = { id: 'pod', netns: pod.path }
    const { status, output } = await runner.exec('causeway-cni', 'ADD', where, config(version))
    assert.equal(status, 0, output)
    const result = JSON.parse(output) as Result
    const is11 = version === '1.1.0'
    assert.equal(result.cniVersion, version)
    const [host, eth0] = result.interfaces
    assert.deepEqual(Object.keys(host!), is11 ? ['name', 'mac', 'mtu'] : ['name', 'mac'])
    assert.deepEqual(eth0, {
      name: 'eth0',
      mac: '0a:58:0a:f4:01:02',
      ...(is11 && { mtu: 1500 }),
      sandbox: pod.path,
    })
    assert.deepEqual(result.ips[0], {
      ...(version.startsWith('0.') && { version: '4' }),
      address: '10.244.1.2/29',
      gateway: '10.244.1.1',
      interface: 1,
    })
    assert.deepEqual(result.routes[1], { dst: '10.244.0.0/16', gw: '10.244.1.1', ...(is11 && { mtu: 1450 }) })
    const check = await runner.exec('causeway-cni', 'CHECK', where, config(version, { prevResult: result }))
    // 0.3.1 has no CHECK
    assert.match(check.output, version === '0.3.1' ? /"code":1,/ : /^$/)
    assert.deepEqual(await runner.exec('causeway-cni', 'DEL', where, config(version, { prevResult: result })), {
      status: 0,
      output: '',
    })
    assert.deepEqual(runner.node.store.list(), [])
  })
}

test('two ADDs for one attachment at once: one network, one set of addresses', async () => {
  await using runner = await CniNode.start()
  using pod = new TestNetns()
  const where = { id: 'pod', netns: pod.path }
  const add = () => runner.exec('causeway-cni', 'ADD', where, config('1.1.0'))
  const outcomes = await Promise.all([add(), add(), add()])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    [0, 0, 0],
  )
  assert.equal(new Set(outcomes.map(({ output }) => output)).size, 1)
  assert.equal(runner.node.store.list().length, 1)
  assert.equal(runner.node.host.ip('link show type veth').length, 1)
  assert.match(pod.sh('ip -br addr show eth0'), /10\.244\.1\.2\/29/)
})

test('two attachments of one sandbox have addresses of their own, and DEL of one leaves the other', async () => {
  await using runner = await CniNode.start()
  using pod = new TestNetns()
  const pods = ['eth0', 'net1'].map((ifName) => ({ id: 'pod', netns: pod.path, ifName }))
  const outcomes = await Promise.all(pods.map((where) => runner.exec('causeway-cni', 'ADD', where, config('1.1.0'))))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    [0, 0],
    outcomes[1]!.output,
  )
  const ways = () => pod.sh('ip route show default').match(/dev \w+/g)
  // two ADDs at once: whichever came first
  assert.deepEqual(ways()?.toSorted(), ['dev eth0', 'dev net1'])
  await runner.exec('causeway-cni', 'DEL', pods[0]!, config('1.1.0'))
  assert.deepEqual(
    runner.node.store.list().map(({ ifName }) => ifName),
    ['net1'],
  )
  assert.match(pod.sh('ip -br addr show net1'), /10\.244\.1\.[23]\/29/)
  assert.deepEqual(ways(), ['dev net1'])
  const added = await runner.exec('causeway-cni', 'ADD', pods[0]!, config('1.1.0'))
  assert.equal(added.status, 0, added.output)
  assert.deepEqual(ways(), ['dev net1', 'dev eth0'], 'the first network stays the one in use')
  const prevResult = JSON.parse(added.output) as object
  const checked = await runner.exec('causeway-cni', 'CHECK', pods[0]!, { ...config('1.1.0'), prevResult })
  assert.equal(checked.status, 0, checked.output)
  pod.sh('ip route del default dev eth0')
  assert.match(
    (await runner.exec('causeway-cni', 'CHECK', pods[0]!, { ...config('1.1.0'), prevResult })).output,
    /route to 0/,
  )
  await runner.exec('causeway-cni', 'DEL', pods[0]!, config('1.1.0'))
  assert.deepEqual(ways(), ['dev net1'])
})

test('what cannot be is an error with its code, and leaves nothing', async () => {
  await using runner = await CniNode.start()
  using pod = new TestNetns()
  pod.sh('ip link add name eth0 type bridge')
  const cases: [Pod, number][] = [
    [{ id: 'pod', netns: pod.path }, 4],
    [{ id: 'pod', netns: '/run/netns/none' }, 3],
    [{ id: 'pod', netns: '../run/netns/x' }, 4],
    [{ id: 'pod', netns: '/etc/passwd' }, 4],
    [{ id: '../../etc/cron.d/x', netns: pod.path }, 4],
    [{ id: '..', netns: pod.path }, 4],
    [{ id: 'a/b', netns: pod.path }, 4],
    [{ id: 'pod', netns: pod.path, ifName: '../eth0' }, 4],
    [{ id: 'pod', netns: pod.path, ifName: 'an-interface-name' }, 4],
    [{ id: 'pod', netns: pod.path, ifName: 'a:b' }, 4],
  ]
  for (const [where, code] of cases) {
    const { status, output } = await runner.exec('causeway-cni', 'ADD', where, config('1.1.0'))
    assert.equal(status, 1)
    assert.equal((JSON.parse(output) as { code: number }).code, code, `${JSON.stringify(where)}: ${output}`)
  }
  assert.deepEqual(runner.node.store.list(), [])
  assert.equal(runner.node.host.sh('ip -br link show type veth'), '')
  assert.equal(existsSync(join(runner.node.folder, 'spool', 'x')), false)
})
