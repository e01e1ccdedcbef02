// Nodes with flannel's kernel state and observers: status and traces name nothing on a healthy node and what is broken where it is, and nothing of
// all that is left in the kernel.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type PodsReport } from '#/api/schemas/pods.ts'
import { type NodeSummary } from '#/api/schemas/summary.ts'
import { vtepMac } from '#/lab/flannel/commands.ts'
import { causeway, must, run, TestLab, type UpReport } from './harness.ts'

type TraceJson = {
  readonly verdict: {
    readonly outcome: string
    readonly text: string
    readonly code?: string
    readonly fullBytes?: number
  }
  readonly there: readonly Hop[]
  readonly back: readonly Hop[]
  readonly notes: readonly string[]
}
type Hop = { readonly device: string; readonly place: string; readonly isExpected: boolean; readonly isSeen: boolean }
type StatusJson = {
  readonly node: string
  readonly value?: {
    readonly readiness: { readonly state: string }
    readonly problems: readonly { readonly code: string; readonly object: string }[]
    readonly objects: readonly { readonly state: string }[]
    readonly endpoints: readonly { readonly pod: string }[]
    readonly verdicts: readonly { readonly way: string }[]
  }
}

class FlannelLab extends TestLab {
  pods: UpReport['pods'] = []

  podOn(node: string, index = 0): string {
    return this.pods.filter((each) => each.node === node)[index]!.name
  }

  trace(...args: readonly string[]): TraceJson {
    const { stdout, stderr } = run(causeway, ['trace', '--lab', this.name, '--json', ...args])
    assert.notEqual(stdout, '', `${args.join(' ')}: ${stderr}`)
    return JSON.parse(stdout) as TraceJson
  }

  healthy(...args: readonly string[]): TraceJson {
    const told = this.trace(...args)
    assert.equal(told.verdict.outcome, 'answered', told.verdict.text)
    assert.deepEqual(told.notes, [])
    const unseen = [...told.there, ...told.back].filter(({ isExpected, isSeen }) => isExpected && !isSeen)
    const seen = [...told.there, ...told.back].map(
      ({ device, place, isSeen }) => `${device} ${place}${isSeen ? '' : ' not'}`,
    )
    assert.deepEqual(unseen, [], `${args.join(' ')}: ${seen.join(', ')}`)
    return told
  }

  status(): StatusJson[] {
    return JSON.parse(run(causeway, ['status', '--lab', this.name, '--json']).stdout) as StatusJson[]
  }

  problems(): string[] {
    return this.status().flatMap(({ node, value }) =>
      value!.problems.map(({ code, object }) => `${node} ${code} ${object}`),
    )
  }

  sh(place: string, script: string): void {
    this.mustInside(place, 'sh', '-ec', script)
  }
}

/** What changes by itself, or by any packet. */
const volatile = /nf_conntrack_count|\bexpires\b|random|_time|base_reachable/

/** All that an observer could change of a namespace. */
function dump(lab: TestLab, place: string): string[] {
  const commands = [
    'ip -d link',
    'ip -d addr',
    'ip -d -4 route show table all',
    'ip -d -6 route show table all',
    'ip rule; ip -6 rule',
    'ip neigh show nud permanent; ip -6 neigh show nud permanent',
    'bridge fdb show | grep permanent || true',
    'nft -s list ruleset',
    'iptables-legacy-save 2>/dev/null | grep -v "^#" || true',
    'sysctl -a 2>/dev/null | grep "^net" || true',
    'tc qdisc show; bpftool net',
  ]
  const lines = commands.flatMap((command) => lab.mustInside(place, 'sh', '-ec', command).split('\n'))
  return lines.filter((line) => !volatile.test(line))
}

/** The programs and maps that processes of a lab hold. */
function held(pids: readonly number[]): string[] {
  return ['prog', 'map', 'link'].flatMap((kind) => {
    const all = JSON.parse(must('bpftool', '-j', kind, 'show')) as {
      readonly id: number
      readonly pids?: readonly { readonly pid: number }[]
    }[]
    return all.flatMap((each) => (each.pids?.some(({ pid }) => pids.includes(pid)) ? [`${kind} ${each.id}`] : []))
  })
}

/** What connection tracking has of connections to addresses that begin so: protocol, ends and ports. */
function trackedTo(lab: TestLab, place: string, start: string): string[] {
  const lines = lab.mustInside(place, 'cat', '/proc/net/nf_conntrack').split('\n')
  return lines.flatMap((line) => {
    const words = line.split(/\s+/)
    const told = words.filter((word) => /^(src|dst|sport|dport|id)=/.test(word))
    return told.some((word) => word.startsWith(`dst=${start}`)) ? [[words[2], ...told].join(' ')] : []
  })
}

type Fault = {
  readonly name: string
  readonly at: 'node-1' | 'node-2' | 'router'
  readonly cause: string
  readonly mend: string
  /** Of the trace: what it says, with its code. */
  readonly trace: RegExp
  /** Of status: "NODE CODE OBJECT". */
  readonly problems?: readonly string[]
}

const mac2 = vtepMac('node-2', 4)
const setFdb = `bridge fdb replace ${mac2} dev flannel.1 dst 172.30.1.12 self permanent`
const setNeighbour = `ip neigh replace 10.244.1.0 lladdr ${mac2} dev flannel.1 nud permanent`
const setRoute = 'ip route replace 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink'
const blocked = (hook: string): string =>
  `nft 'table netdev fault { chain c { type filter hook ${hook} device node-2 priority 0; udp dport 8472 drop; }; }'`

const faults: readonly Fault[] = [
  {
    name: 'a bridge entry with the address of another machine, which takes the packets',
    at: 'node-1',
    cause: `bridge fdb replace ${mac2} dev flannel.1 dst 172.30.1.1 self permanent`,
    mend: setFdb,
    trace:
      /left node-1 by eth0 and never came to eth0 of node-2: flannel\.1 sends .* to 172\.30\.1\.1, and node node-2 is at 172\.30\.1\.12 CW6503$/,
    problems: [`node-1 CW6503 fdb/${mac2}`],
  },
  {
    name: 'no bridge entry',
    at: 'node-1',
    cause: `bridge fdb del ${mac2} dev flannel.1 dst 172.30.1.12 self`,
    mend: setFdb,
    trace: /dropped at flannel\.1 of node-1: flannel\.1 does not know where .* CW6503$/,
    problems: [`node-1 CW6503 fdb/${mac2}`],
  },
  {
    name: 'a neighbour entry with another MAC, which is nowhere',
    at: 'node-1',
    cause: 'ip neigh replace 10.244.1.0 lladdr 9e:00:00:00:00:09 dev flannel.1 nud permanent',
    mend: setNeighbour,
    trace: /dropped at flannel\.1 of node-1.* and the kernel sends to 9e:00:00:00:00:09 .* CW6502$/,
    problems: ['node-1 CW6502 neighbour/10.244.1.0'],
  },
  {
    name: 'no neighbour entry',
    at: 'node-1',
    cause: 'ip neigh del 10.244.1.0 dev flannel.1',
    mend: setNeighbour,
    trace: /came to cni0 of node-1 .*no MAC on flannel\.1 .* CW6502$/,
    problems: ['node-1 CW6502 neighbour/10.244.1.0'],
  },
  {
    name: "the network drops the tunnel's packets to a node",
    at: 'router',
    cause: blocked('egress'),
    mend: 'nft delete table netdev fault',
    trace: /^lost: the probe left node-1 by eth0 and never came to eth0 of node-2/,
  },
  {
    name: "the network drops the tunnel's packets from a node",
    at: 'router',
    cause: blocked('ingress'),
    mend: 'nft delete table netdev fault',
    trace: /^answer-lost: the answer left node-2 by eth0 and never came to eth0 of node-1/,
  },
  {
    name: 'a firewall on the way through a node',
    at: 'node-2',
    cause: 'iptables -w -I FORWARD -d 10.244.0.0/16 -j DROP',
    mend: 'iptables -w -D FORWARD -d 10.244.0.0/16 -j DROP',
    trace: /dropped at flannel\.1 of node-2: table ip filter drops .* CW7001$/,
    problems: ['node-2 CW7001 chain/ip filter FORWARD'],
  },
  {
    name: "the network carries less than the tunnel's packets have",
    at: 'router',
    cause: 'ip link set node-2 mtu 1400',
    mend: 'ip link set node-2 mtu 1500',
    trace: /never came to eth0 of node-2.*a small packet is answered, one of 1450 bytes is not/,
  },
  {
    name: 'the VXLAN device is down',
    at: 'node-1',
    cause: 'ip link set flannel.1 down',
    mend: `ip link set flannel.1 up; ${setRoute}; ${setNeighbour}; ${setFdb}`,
    trace: /flannel\.1 is down.* CW6504$/,
    problems: ['node-1 CW6504 device/flannel.1'],
  },
]

suite('observing flannel with vxlan', { timeout: 240_000 }, () => {
  const lab = new FlannelLab()
  after(() => lab[Symbol.dispose]())

  before(() => {
    lab.pods = lab.up('--network', 'flannel-vxlan', '--nodes', '2', '--pods', '2').pods
  })

  test('a healthy cluster: every expected place is seen in both families, and nothing is wrong', () => {
    const [one, two] = [lab.podOn('node-1'), lab.podOn('node-2')]
    assert.equal(lab.healthy(one, two).verdict.fullBytes, 1450)
    // flannel-v6.1 has less room than the pods' devices say, and tells so
    assert.equal(lab.healthy(one, two, '--family', '6').verdict.fullBytes, 1430)
    lab.healthy(two, `${one}:8080`, '--family', '6')
    lab.healthy('node-1', two, '--udp')
    lab.healthy(one, 'node-2')
    lab.healthy(one, `${lab.podOn('node-1', 1)}:8080`)
    for (const { value } of lab.status()) {
      assert.equal(value!.readiness.state, 'ready')
      assert.equal(value!.endpoints.length, 2)
      assert.deepEqual(
        value!.verdicts.map(({ way }) => way),
        ['vxlan', 'vxlan'],
      )
      assert.ok(value!.objects.length === 6 && value!.objects.every(({ state }) => state === 'done'))
    }
    assert.deepEqual(lab.problems(), [])
    const summary = JSON.parse(lab.askAgent('node-1', '/v1/summary')) as NodeSummary
    assert.deepEqual(
      [summary.observes, summary.readiness, summary.pods, summary.crossings],
      ['flannel', 'ready', 2, { vxlan: 2, native: 0, none: 0 }],
    )
    assert.ok(summary.addrs.includes('172.30.1.11'), summary.addrs.join(' '))
    const { pods } = JSON.parse(lab.askAgent('node-1', `/v1/pods?q=${two}`)) as PodsReport
    assert.deepEqual(
      pods.map(({ pod, node }) => [pod, node]),
      [[`default/${two}`, 'node-2']],
    )
  })

  test('what an observer does leaves nothing in the kernel', () => {
    const places = ['node-1', 'node-2', ...lab.pods.map(({ name }) => `pod-default-${name}`)]
    lab.kill('agent')
    const untouched = places.map((place) => dump(lab, place))
    lab.up()
    const [one, two] = [lab.podOn('node-1'), lab.podOn('node-2')]
    const tracked = trackedTo(lab, 'node-1', '10.244.1.')
    lab.healthy(one, two)
    lab.healthy(one, `${two}:8080`)
    assert.deepEqual(lab.problems(), [])
    const pids = lab.pids('agent')
    assert.equal(pids.length, 2)
    assert.deepEqual(held(pids), [])
    assert.deepEqual(
      trackedTo(lab, 'node-1', '10.244.1.').filter((each) => !tracked.includes(each)),
      [],
      'connections of probes',
    )
    lab.kill('agent')
    for (const [index, place] of places.entries()) assert.deepEqual(dump(lab, place), untouched[index], place)
    lab.up()
  })

  test('each fault is named where it is, and none is left when it is mended', () => {
    const [one, two] = [lab.podOn('node-1'), lab.podOn('node-2')]
    for (const { name, at, cause, mend, trace, problems = [] } of faults) {
      lab.sh(at, cause)
      const { verdict } = lab.trace(one, two)
      assert.match([`${verdict.outcome}: ${verdict.text}`, verdict.code].filter(Boolean).join(' '), trace, name)
      assert.deepEqual(lab.problems(), problems, name)
      lab.sh(at, mend)
    }
    lab.healthy(one, two)
    assert.deepEqual(lab.problems(), [])
  })

  test('lab break has faults of flannel in both families, which are named and taken back', () => {
    const [one, two] = [lab.podOn('node-1'), lab.podOn('node-2')]
    for (const [name, code] of [
      ['flannel-route-gone', 'CW6501'],
      ['flannel-neighbour-wrong-mac', 'CW6502'],
      ['flannel-fdb-stale', 'CW6503'],
    ] as const) {
      must(causeway, 'lab', 'break', name, '--name', lab.name, '--quiet')
      const { verdict } = lab.trace(one, two, '--family', '6')
      assert.deepEqual([verdict.outcome, verdict.code], ['lost', code], `${name}: ${verdict.text}`)
      assert.deepEqual(
        lab.problems().map((each) => each.split(' ').slice(0, 2).join(' ')),
        [`node-1 ${code}`, `node-1 ${code}`],
        name,
      )
      must(causeway, 'lab', 'mend', name, '--name', lab.name)
      assert.deepEqual(lab.problems(), [], name)
    }
    lab.healthy(one, two, '--family', '6')
    const refused = run(causeway, ['lab', 'break', 'agent-dead', '--name', lab.name])
    assert.match(refused.stderr, /those of this lab have flannel/)
  })
})

suite('observing flannel with host-gw', { timeout: 120_000 }, () => {
  const lab = new FlannelLab()
  after(() => lab[Symbol.dispose]())

  before(() => {
    lab.pods = lab.up('--network', 'flannel-host-gw', '--nodes', '2', '--pods', '1').pods
  })

  test('a healthy cluster, and a next hop that is another node', () => {
    const [one, two] = [lab.podOn('node-1'), lab.podOn('node-2')]
    for (const family of ['4', '6']) assert.equal(lab.healthy(one, two, '--family', family).verdict.fullBytes, 1500)
    assert.deepEqual(lab.problems(), [])
    lab.sh('node-1', 'ip route replace 10.244.1.0/24 via 172.30.1.1 dev eth0')
    const { verdict } = lab.trace(one, two)
    assert.match(
      verdict.text,
      /flannel's route to pods of node node-2 is 10\.244\.1\.0\/24 via 172\.30\.1\.1 .*should be .* via 172\.30\.1\.12/,
    )
    assert.equal(verdict.code, 'CW6501')
    assert.deepEqual(lab.problems(), ['node-1 CW6501 route/10.244.1.0/24'])
    lab.sh('node-1', 'ip route replace 10.244.1.0/24 via 172.30.1.12 dev eth0')
    lab.healthy(one, two)
  })
})
