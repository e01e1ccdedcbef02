// CNI CHECK against the real kernel: every fault has its phrase, and what later plugins may do is none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestNetns } from './namespace.ts'
import { codeOf, messageIn, PodNode, prevResultOf } from './pod-node.ts'

type Told = {
  interfaces: { name: string; mac?: string; mtu?: number; sandbox?: string }[]
  ips: { address: string; gateway?: string; interface?: number }[]
  routes: { dst: string; gw?: string; mtu?: number; table?: number }[]
}

class CheckedPod implements Disposable {
  readonly node = new PodNode()
  readonly pod = new TestNetns()
  readonly told = prevResultOf(this.node.add('pod', this.pod.path)) as Told
  readonly device = this.told.interfaces[0]!.name

  /** What CHECK says of the pod when it is told this; '' when all is well. */
  check(told: Told = this.told, config: Record<string, unknown> = {}): string {
    const reply = this.node.call('CHECK', 'pod', this.pod.path, { config: { prevResult: told, ...config } })
    assert.ok([0, 5].includes(codeOf(reply)), messageIn(reply))
    return messageIn(reply).replace('the network of pod default/pod is not as it was made: ', '')
  }

  [Symbol.dispose](): void {
    this.pod[Symbol.dispose]()
    this.node[Symbol.dispose]()
  }
}

/** Where, what breaks it, what CHECK says, what mends it. */
const faults: ['host' | 'pod', string, RegExp, string][] = [
  ['host', 'ip link set DEV down', /^cwv\w+ is down$/, 'ip link set DEV up'],
  [
    'host',
    'ip link set DEV nomaster',
    /^cwv\w+ is no port of cw-br0$/,
    'ip link set DEV master cw-br0; bridge link set dev DEV hairpin on',
  ],
  [
    'host',
    'bridge link set dev DEV isolated on',
    /^port cwv\w+ of cw-br0 holds frames back: bridge -d link show dev cwv\w+$/,
    'bridge link set dev DEV isolated off',
  ],
  ['host', 'ip link set DEV mtu 1400', /^cwv\w+ has MTU 1400 instead of 1500$/, 'ip link set DEV mtu 1500'],
  [
    'host',
    'ip link set cw-br0 down',
    /^bridge cw-br0 is down/,
    'ip link set cw-br0 up; ip addr replace fd10:244:0:1::1/64 dev cw-br0 nodad',
  ],
  [
    'host',
    'ip addr del 10.244.1.1/29 dev cw-br0',
    /^gateway 10\.244\.1\.1 is not on cw-br0$/,
    'ip addr add 10.244.1.1/29 dev cw-br0',
  ],
  ['pod', 'ip link set eth0 mtu 1600', /^eth0 has MTU 1600 instead of 1500$/, 'ip link set eth0 mtu 1500'],
  [
    'pod',
    'ip link set eth0 address 02:00:00:00:00:07',
    /^eth0 has MAC 02:00:00:00:00:07 instead of 0a:58:0a:f4:01:02$/,
    'ip link set eth0 address 0a:58:0a:f4:01:02',
  ],
  [
    'pod',
    'ip addr add 10.244.1.2/24 dev eth0; ip addr del 10.244.1.2/29 dev eth0',
    /^address 10\.244\.1\.2\/29 is gone from eth0/,
    'ip addr del 10.244.1.2/24 dev eth0; ip addr add 10.244.1.2/29 dev eth0; ip route add default via 10.244.1.1; ip route add 10.244.0.0/16 via 10.244.1.1 mtu 1450',
  ],
  [
    'pod',
    'ip -6 route del default',
    /^the route to ::\/0 via fd10:244:0:1::1 is gone$/,
    'ip -6 route add default via fd10:244:0:1::1',
  ],
  [
    'pod',
    'ip route replace 10.244.0.0/16 via 10.244.1.1 mtu 1400',
    /^the route to 10\.244\.0\.0\/16 via 10\.244\.1\.1 with MTU 1450 is gone$/,
    'ip route replace 10.244.0.0/16 via 10.244.1.1 mtu 1450',
  ],
]

test('a plugin after ours may lower the MTU of the pod, which prevResult does not tell', () => {
  using checked = new CheckedPod()
  // as tuning does with "mtu"
  checked.pod.sh('ip link set eth0 mtu 1300')
  assert.equal(checked.check(), '')
})

test('each fault is one phrase, and none once it is mended', () => {
  using checked = new CheckedPod()
  assert.equal(checked.check(), '')
  for (const [where, fault, phrase, remedy] of faults) {
    const namespace = where === 'host' ? checked.node.host : checked.pod
    namespace.sh(fault.replaceAll('DEV', checked.device))
    assert.match(checked.check(), phrase)
    namespace.sh(remedy.replaceAll('DEV', checked.device))
    assert.equal(checked.check(), '', remedy)
  }
  checked.pod.sh('ip link set eth0 down; ip link set eth0 name eth9')
  assert.match(checked.check(), /; ?eth0 is gone from its namespace|^eth0 is gone from its namespace/)
  checked.node.host.sh(`ip link del ${checked.device}`)
  assert.match(checked.check(), /^host device cwv\w+ is gone; eth0 is gone from/)
})

test('what prevResult lacks, and what it tells besides ours, is compared too', () => {
  using checked = new CheckedPod()
  const { told } = checked
  const [host, eth0] = told.interfaces as [Told['interfaces'][0], Told['interfaces'][0]]
  assert.match(
    checked.check({ ...told, interfaces: [], ips: [] }),
    /^prevResult lacks the interface cwv\w+; prevResult lacks the interface eth0; prevResult lacks the address 10\.244\.1\.2\/29; prevResult lacks the address fd10/,
  )
  assert.match(
    checked.check({ ...told, ips: [...told.ips, { address: '192.0.2.9/24', interface: 1 }] }),
    /^address 192\.0\.2\.9\/24 is gone from eth0$/,
  )
  assert.match(
    checked.check({ ...told, routes: [...told.routes, { dst: '203.0.113.0/24', gw: '10.244.1.1' }] }),
    /^the route to 203\.0\.113\.0\/24 via 10\.244\.1\.1 is gone$/,
  )
  assert.match(
    checked.check({ ...told, interfaces: [{ ...host, mac: '02:00:00:00:00:01' }, eth0] }),
    /^cwv\w+ has MAC [0-9a-f:]+ instead of 02:00:00:00:00:01$/,
  )
  // versions before 1.1.0 carry no MTU: it may be a later plugin's, which could not tell it
  checked.pod.sh('ip link set eth0 mtu 1300')
  assert.equal(checked.check({ ...told, interfaces: [host, { name: 'eth0', sandbox: eth0.sandbox! }] }), '')
})

test('what later plugins do is no fault: more interfaces, addresses, routes; another MAC and MTU that they told', () => {
  using checked = new CheckedPod()
  const { told, pod } = checked
  pod.sh(
    'ip link add name net1 type bridge; ip link set net1 up; ip addr add 192.0.2.5/24 dev net1; ip addr add 10.244.1.66/32 dev eth0',
  )
  pod.sh('ip route add 198.51.100.0/24 via 192.0.2.1; ip route add 203.0.113.0/24 via 10.244.1.1 table 100')
  assert.equal(checked.check(), '')
  pod.sh('ip link set eth0 address 02:00:00:00:00:07; ip link set eth0 mtu 1300')
  const [host, eth0] = told.interfaces as [Told['interfaces'][0], Told['interfaces'][0]]
  const tuned: Told = {
    interfaces: [host, { ...eth0, mac: '02:00:00:00:00:07', mtu: 1300 }, { name: 'net1', sandbox: pod.path }],
    ips: [...told.ips, { address: '192.0.2.5/24', interface: 2 }],
    routes: [...told.routes, { dst: '198.51.100.0/24', gw: '192.0.2.1' }, { dst: '203.0.113.0/24', table: 100 }],
  }
  assert.equal(checked.check(tuned), '')
})

test('another namespace under the same path is told', () => {
  using checked = new CheckedPod()
  using other = new TestNetns()
  checked.pod.sh(`mount --bind ${other.path} ${checked.pod.path}`)
  try {
    assert.match(checked.check(), /^\S+ is another namespace than at the ADD; .*eth0 is gone/)
  } finally {
    checked.pod.sh(`umount ${checked.pod.path}`)
  }
})
