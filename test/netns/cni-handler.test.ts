// What CNI calls do to the real kernel, and what they answer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KernelError } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { podMac } from '#/model/names.ts'
import { TestNetns } from './namespace.ts'
import { codeOf, messageIn, podNetwork, PodNode, prevResultOf } from './pod-node.ts'

test('ADD wires a pod as the result says; a second ADD mends it; DEL takes all away, twice', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const prevResult = prevResultOf(node.add('pod1', pod.path))
  const check = () => node.call('CHECK', 'pod1', pod.path, { config: { prevResult } })
  assert.equal(messageIn(check()), '')
  assert.match(pod.sh('ip -br addr show eth0'), /UP +10\.244\.1\.2\/29 fd10:244:0:1::2\/64/)
  assert.match(
    pod.sh('ip route'),
    /default via 10\.244\.1\.1 dev eth0[^]*10\.244\.0\.0\/16 via 10\.244\.1\.1 dev eth0 mtu 1450/,
  )
  assert.match(pod.sh('ip -6 route'), /default via fd10:244:0:1::1 dev eth0/)
  assert.match(pod.sh('ip -br link show lo'), /UNKNOWN.*UP/)
  for (const fault of ['ip addr del 10.244.1.2/29 dev eth0', 'ip route del default', 'ip link set eth0 down']) {
    pod.sh(fault)
    assert.equal(codeOf(check()), 5, fault)
    assert.deepEqual(prevResultOf(node.add('pod1', pod.path)), prevResult)
  }
  assert.equal(node.host.ip('link show type veth').length, 1)
  for (let turn = 0; turn < 2; turn++) assert.deepEqual(node.call('DEL', 'pod1', pod.path), { kind: 'ok' })
  assert.equal(node.host.sh('ip -br link show type veth'), '')
  assert.deepEqual(node.store.list(), [])
  assert.equal(codeOf(check()), 3)
})

test('a failed ADD leaves no address and no device; each reason has its code', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const fails = (netns: string, code: number, message: RegExp) => {
    const reply = node.call('ADD', 'pod', netns)
    assert.equal(codeOf(reply), code)
    assert.match(messageIn(reply), message)
    assert.deepEqual(node.store.list(), [])
  }
  fails('/run/netns/none', 3, /^network namespace \/run\/netns\/none is not there/)
  fails('/etc/hostname', 4, /^CNI_NETNS: \/etc\/hostname is no namespace/)
  fails('/proc/self/ns/net', 4, /^CNI_NETNS: .* is the node's own namespace/)
  fails('/proc/self/ns/uts', 5, /uts/)
  pod.sh('ip link add name eth0 type bridge')
  fails(pod.path, 4, /^CNI_IFNAME: eth0 exists already/)
  pod.sh('ip link del eth0')
  node.host.sh('ip link del cw-br0')
  fails(pod.path, 5, /^cannot set up the network of pod default\/pod: bridge cw-br0 is not there yet/)
  node.network = 'waiting for the API'
  fails(pod.path, 11, /^the node has no pod network yet: waiting for the API/)
  assert.equal(node.host.sh('ip -br link show type veth'), '')
})

test('exhaustion and CIDRs that are too small are told, with what to do', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const fill = (count: number) => {
    for (let number = 0; number < count; number++) {
      node.store.reserve(
        {
          containerId: `c${number}`,
          ifName: 'eth0',
          netns: '/x',
          pod: `p${number}`,
          hostDevice: `cwv${number}`,
          datapath: 'bridge',
        },
        podNetwork.podCIDRs,
      )
    }
  }
  assert.equal(codeOf(node.call('STATUS', 'x', pod.path)), 0)
  fill(5)
  const late = node.call('ADD', 'late', pod.path)
  assert.equal(codeOf(late), 11)
  const words = /^pod CIDR 10\.244\.1\.0\/29 of this node is exhausted: all 5 addresses are in use: delete pods/
  assert.match(messageIn(late), words)
  assert.match(node.full?.msg ?? '', /10\.244\.1\.0\/29 of this node is exhausted/)
  // an error here takes the node, and with it the pods that run, out of service
  assert.equal(codeOf(node.call('STATUS', 'x', pod.path)), 0)
  node.network = { ...podNetwork, podCIDRs: [...podNetwork.podCIDRs, Prefix.parse('10.244.7.0/30')] }
  node.add('second-range', pod.path)
  assert.match(pod.sh('ip route'), /default via 10\.244\.7\.1/)
  assert.match(node.full?.msg ?? '', /^pod CIDRs 10\.244\.1\.0\/29, 10\.244\.7\.0\/30 .*all 6/)
  node.call('DEL', 'second-range', pod.path)
  for (const cidr of ['10.9.0.0/31', '10.9.0.0/32', 'fd09::/127', 'fd09::/128']) {
    node.network = { ...podNetwork, podCIDRs: [Prefix.parse(cidr)] }
    assert.match(messageIn(node.call('ADD', 'small', pod.path)), /is too small for pods: .* give the node one of/)
    assert.equal(codeOf(node.call('STATUS', 'x', pod.path)), 50)
  }
})

/** Gives addresses to pods that have no device. */
function reserveMany({ store }: PodNode, count: number, podCIDRs: readonly Prefix[]): void {
  for (let number = 0; number < count; number++) {
    const names = { containerId: `c${number}`, pod: `p${number}`, hostDevice: `cwv${number}` }
    store.reserve({ ...names, ifName: 'eth0', netns: '/x', datapath: 'bridge' }, podCIDRs)
  }
}

test('a bridge with as many ports as the kernel allows is no error of the node; one that goes makes room', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.host.sh('ip addr add 10.245.0.1/20 dev cw-br0')
  const podCIDRs = [Prefix.parse('10.245.0.0/20')]
  node.network = { ...podNetwork, podCIDRs }
  reserveMany(node, 1022, podCIDRs)
  // a device of somebody else takes the last port
  node.host.sh(`for i in $(seq 1023); do echo "link add x$i master cw-br0 type veth"; done | ip -batch -`)
  const refused = (): void => {
    const reply = node.call('ADD', 'late', pod.path)
    assert.equal(codeOf(reply), 11)
    assert.match(messageIn(reply), /as many pods as it can: .* bridge cw-br0 no more than 1023 ports: delete pods/)
    assert.ok(!node.store.list().some(({ containerId }) => containerId === 'late'))
    assert.equal(codeOf(node.call('STATUS', 'x', pod.path)), 0)
  }
  refused()
  assert.equal(node.full, undefined, 'by what the agent knows there is room')
  node.leaked = ['c0', 'c1']
  refused()
  assert.equal(node.leaked.length, 1, 'what is leaked is looked for first')
  node.leaked = []
  node.host.sh('ip link del x1')
  node.add('last', pod.path)
  node.add('last', pod.path)
})

test('an address that is leaked for certain is given before the node is called full', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  reserveMany(node, 5, podNetwork.podCIDRs)
  assert.match(node.full?.msg ?? '', /exhausted/)
  node.leaked = ['c3']
  assert.equal(String(node.add('late', pod.path).ips[0]?.address), '10.244.1.5')
})

test('STATUS is about ADD: 50 as long as no pod can be wired, 51 when those that run are in trouble too', () => {
  using node = new PodNode()
  node.trouble = 'EPERM'
  assert.equal(codeOf(node.call('STATUS', 'x', '/x')), 0)
  node.network = 'no pod CIDR'
  const reply = node.call('STATUS', 'x', '/x')
  assert.equal(codeOf(reply), 51)
  assert.match(messageIn(reply), /no pod CIDR[^]*route 10\.244\.2\.0\/24: EPERM/)
  node.trouble = undefined
  assert.equal(codeOf(node.call('STATUS', 'x', '/x')), 50)
})

test('a pod keeps its network when the node has other CIDRs: CHECK, wiring anew, DEL', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const prevResult = prevResultOf(node.add('pod', pod.path))
  node.network = { ...podNetwork, podCIDRs: [Prefix.parse('10.244.9.0/24')] }
  assert.equal(messageIn(node.call('CHECK', 'pod', pod.path, { config: { prevResult } })), '')
  assert.deepEqual(node.call('DEL', 'pod', pod.path), { kind: 'ok' })
})

test('requested addresses: who asks first counts, and what cannot be had is refused with the reason', () => {
  using node = new PodNode()
  using first = new TestNetns()
  using second = new TestNetns()
  const annotated = (ips: string) => ({
    runtimeConfig: { 'io.kubernetes.cri.pod-annotations': { 'causeway.dev/ips': ips } },
  })
  const addrs = (id: string, config: Record<string, unknown>, args = '') => {
    const env = args === '' ? {} : { CNI_ARGS: args }
    const { ips } = node.add(id, first.path, { config, env })
    node.call('DEL', id, first.path)
    return ips.map(({ address }) => String(address)).join(' ')
  }
  assert.equal(addrs('a', annotated('10.244.1.4, fd10:244:0:1::44')), '10.244.1.4 fd10:244:0:1::44')
  const all = { ...annotated('10.244.1.3'), args: { cni: { ips: ['10.244.1.5/29'] } } }
  assert.match(addrs('b', annotated('10.244.1.3'), 'IP=10.244.1.6'), /^10\.244\.1\.6 /)
  assert.match(addrs('c', all, 'IP=10.244.1.6'), /^10\.244\.1\.5 /)
  const runtime = { ...all, runtimeConfig: { ...all.runtimeConfig, ips: ['10.244.1.2/32'] } }
  assert.match(addrs('d', runtime, 'IP=10.244.1.6'), /^10\.244\.1\.2 /)
  node.add('holder', first.path, { config: annotated('10.244.1.4') })
  const refused: [string, RegExp][] = [
    ['10.244.1.0', /10\.244\.1\.0 is the network address of pod CIDR 10\.244\.1\.0\/29/],
    ['10.244.1.1', /is the gateway of/],
    ['10.244.1.7', /is the broadcast address of/],
    ['10.9.9.9', /10\.9\.9\.9 is in no pod CIDR of this node \(10\.244\.1\.0\/29, fd10:244:0:1::\/64\)/],
    ['fd10:244:0:1::1', /is the gateway of pod CIDR fd10/],
    ['10.244.1.4', /address 10\.244\.1\.4 that pod default\/late requests belongs to pod default\/holder/],
    ['10.244.1.5,10.244.1.6', /two IPv4 addresses are requested, 10\.244\.1\.5 and 10\.244\.1\.6/],
    ['web', /annotation causeway\.dev\/ips="web": "web" is no IP address/],
    ['', /"" is no IP address/],
  ]
  for (const [ips, message] of refused) {
    const reply = node.call('ADD', 'late', second.path, { config: annotated(ips) })
    assert.equal(codeOf(reply), 7)
    assert.match(messageIn(reply), message)
  }
  const longer = node.call('ADD', 'late', second.path, { config: { runtimeConfig: { ips: ['10.244.1.5/16'] } } })
  assert.match(messageIn(longer), /10\.244\.1\.5\/16 is in pod CIDR 10\.244\.1\.0\/29, which has another prefix length/)
  assert.equal(node.store.list().length, 1)
})

test('a requested MAC is on the interface, in the result and in CHECK; a wrong or taken one is refused', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  using other = new TestNetns()
  const annotation = {
    runtimeConfig: { 'io.kubernetes.cri.pod-annotations': { 'causeway.dev/mac': '02-AA-00-00-00-01' } },
  }
  const result = node.add('pod', pod.path, { config: annotation })
  assert.equal(result.interfaces[1]!.mac, '02:aa:00:00:00:01')
  assert.match(pod.sh('ip -br link show eth0'), /02:aa:00:00:00:01/)
  const prevResult = prevResultOf(result)
  assert.equal(messageIn(node.call('CHECK', 'pod', pod.path, { config: { prevResult } })), '')
  // made anew after somebody deleted it, host's end and pod's end have what they had
  const [endpoint] = node.store.list()
  node.host.sh(`ip link del ${endpoint!.hostDevice}`)
  node.datapaths.bridge.wire(endpoint!, podNetwork)
  assert.equal(messageIn(node.call('CHECK', 'pod', pod.path, { config: { prevResult } })), '')
  const taken = node.call('ADD', 'late', other.path, { config: annotation })
  assert.equal(codeOf(taken), 7)
  assert.match(messageIn(taken), /MAC 02:aa:00:00:00:01 that pod default\/late requests belongs to pod default\/pod/)
  for (const mac of ['01:00:5e:00:00:01', '00:00:00:00:00:00']) {
    const reply = node.call('ADD', 'late', other.path, { config: { runtimeConfig: { mac } } })
    assert.equal(codeOf(reply), 7)
    assert.match(messageIn(reply), /is no unicast address/)
  }
  const runtimes = { runtimeConfig: { ...annotation.runtimeConfig, mac: '02:bb:00:00:00:02' } }
  assert.equal(node.add('late', other.path, { config: runtimes }).interfaces[1]!.mac, '02:bb:00:00:00:02')
})

test('a pod whose usual MAC another one requested has its own, also when its veth is made anew', () => {
  using node = new PodNode()
  using first = new TestNetns()
  using second = new TestNetns()
  const mac = podMac(Addr.parse('10.244.1.3'))
  node.add('first', first.path, { config: { runtimeConfig: { mac } } })
  const result = node.add('second', second.path)
  assert.equal(String(result.ips[0]!.address), '10.244.1.3')
  const told = result.interfaces[1]!.mac
  assert.notEqual(told, mac)
  const endpoint = node.store.find({ containerId: 'second', ifName: 'eth0' })!
  node.host.sh(`ip link del ${endpoint.hostDevice}`)
  node.datapaths[endpoint.datapath].wire(endpoint, podNetwork)
  assert.match(second.sh('ip -br link show eth0'), new RegExp(`${told}`))
  const prevResult = prevResultOf(result)
  assert.equal(messageIn(node.call('CHECK', 'second', second.path, { config: { prevResult } })), '')
})

test('DEL: while the veth cannot be deleted the address stays claimed; without a namespace it succeeds', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.add('pod', pod.path)
  const [endpoint] = node.store.list()
  // deletion of a device that is not there by that name: what stands there cannot be deleted (loopback never can)
  node.host.sh(`ip link del ${endpoint!.hostDevice}; ip link set lo name ${endpoint!.hostDevice}`)
  const reply = node.call('DEL', 'pod', pod.path)
  assert.equal(codeOf(reply), 5)
  assert.match(messageIn(reply), /^del of pod:eth0 failed: ip link delete dev cwv\w+: EOPNOTSUPP/)
  assert.equal(node.store.list().length, 1)
  node.host.sh(`ip link set ${endpoint!.hostDevice} name lo`)
  assert.deepEqual(node.call('DEL', 'pod', '/run/netns/none'), { kind: 'ok' })
  assert.deepEqual(node.store.list(), [])
  assert.deepEqual(node.call('DEL', 'pod', '', { env: { CNI_NETNS: '' } }), { kind: 'ok' })
})

test('a wiring that fails half-way is undone; when that fails too, the claim stays until DEL', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const { netlink } = node
  const executeAll = netlink.executeAll.bind(netlink)
  const refuse = new Map<string, number>([['type bridge_slave', 12]])
  netlink.executeAll = (operations) => {
    const isRefused = (what: string) => [...refuse].find(([words]) => what.includes(words))
    return operations.map((operation) => {
      const refusal = isRefused(operation.what)
      return refusal ? new KernelError(operation.what, refusal[1]) : executeAll([operation])[0]
    })
  }
  const add = () => messageIn(node.call('ADD', 'pod', pod.path))
  assert.match(add(), /^cannot set up the network of pod default\/pod: ip link set .* hairpin on: ENOMEM$/)
  assert.deepEqual([node.store.list(), node.host.sh('ip -br link show type veth')], [[], ''])
  // from the creation of the veth on it cannot be deleted either
  netlink.execute = (...operations) => {
    const failed = netlink.executeAll(operations).find((error) => error !== undefined)
    if (failed) throw failed
    if (operations.some(({ what }) => what.startsWith('ip link add'))) refuse.set('ip link delete', 16)
  }
  assert.match(add(), /hairpin on: ENOMEM; and what was made of it stays: ip link delete dev cwv\w+: EBUSY/)
  assert.equal(codeOf(node.call('DEL', 'pod', pod.path)), 5)
  assert.equal(node.store.list()[0]!.state, 'reserved')
  refuse.clear()
  assert.deepEqual(node.call('DEL', 'pod', pod.path), { kind: 'ok' })
  assert.deepEqual([node.store.list(), node.host.sh('ip -br link show type veth')], [[], ''])
})

test('GC removes what is not listed under either key, and nothing when there is no list', () => {
  using node = new PodNode()
  using first = new TestNetns()
  using second = new TestNetns()
  const ids = () => node.store.list().map(({ containerId }) => containerId)
  const gc = (config: Record<string, unknown>) => node.call('GC', 'x', '/x', { config })
  node.add('keep', first.path)
  node.add('lose', second.path)
  for (const config of [{}, { 'cni.dev/valid-attachments': null }]) {
    assert.deepEqual(gc(config), { kind: 'ok' })
    assert.deepEqual(ids(), ['keep', 'lose'])
  }
  const list = [{ containerID: 'keep', ifname: 'eth0' }]
  assert.deepEqual(gc({ 'cni.dev/valid-attachments': list }), { kind: 'ok' })
  assert.deepEqual(ids(), ['keep'])
  node.add('lose', second.path)
  assert.deepEqual(gc({ 'cni.dev/attachments': list }), { kind: 'ok' })
  assert.deepEqual(ids(), ['keep'])
  assert.equal(node.host.ip('link show type veth').length, 1)
  // one that cannot be removed does not hold up the others, and stays claimed
  node.add('lose', second.path)
  const { hostDevice } = node.store.list().find(({ containerId }) => containerId === 'keep')!
  node.host.sh(`ip link del ${hostDevice}; ip link set lo name ${hostDevice}`)
  const reply = gc({ 'cni.dev/valid-attachments': [] })
  assert.match(messageIn(reply), /^some attachments could not be removed: default\/keep: .*EOPNOTSUPP/)
  assert.deepEqual(ids(), ['keep'])
})

test("GC of another network, or of one that was renamed, leaves this network's pods alone", () => {
  using node = new PodNode()
  using pod = new TestNetns()
  node.add('lives', pod.path)
  const everything = { name: 'another', 'cni.dev/valid-attachments': [] }
  assert.deepEqual(node.call('GC', 'x', '/x', { config: everything }), { kind: 'ok' })
  assert.equal(node.store.list().length, 1)
  assert.equal(node.host.ip('link show type veth').length, 1)
})

test('a pod whose name is as long as Kubernetes allows is wired', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${'n'.repeat(63)};K8S_POD_NAME=${'p'.repeat(253)}`
  const reply = node.call('ADD', 'long', pod.path, { env: { CNI_ARGS: args } })
  assert.equal(reply.kind, 'result', JSON.stringify(reply))
  assert.match(node.host.sh('ip link show type veth'), new RegExp(`alias ${'n'.repeat(63)}/p{100,}…`))
})

test('ADD after other plugins: ours is appended, indices point to ours, dns stays', () => {
  using node = new PodNode()
  using pod = new TestNetns()
  const before = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'dummy0', sandbox: pod.path }],
    ips: [{ address: '192.0.2.5/24', interface: 0 }],
    routes: [{ dst: '198.51.100.0/24', gw: '192.0.2.1' }],
    dns: { nameservers: ['10.96.0.10'], search: ['svc.cluster.local'], options: [] },
  }
  const result = node.add('pod', pod.path, { config: { prevResult: before } })
  assert.deepEqual(
    result.interfaces.map(({ name }) => name.replace(/^cwv.*/, 'veth')),
    ['dummy0', 'veth', 'eth0'],
  )
  assert.deepEqual(
    result.ips.map(({ address, interface: index }) => `${address} ${index}`),
    ['192.0.2.5 0', '10.244.1.2 2', 'fd10:244:0:1::2 2'],
  )
  assert.deepEqual(
    result.routes.map(({ dst, gw, mtu }) => `${dst} ${gw} ${mtu}`),
    [
      '198.51.100.0/24 192.0.2.1 undefined',
      '0.0.0.0/0 10.244.1.1 undefined',
      '10.244.0.0/16 10.244.1.1 1450',
      '::/0 fd10:244:0:1::1 undefined',
    ],
  )
  assert.deepEqual(result.dns, before.dns)
})
