// `causeway trace` in a lab whose nodes have different datapaths: on a healthy cluster every expected place is seen and nothing is blamed; what is
// broken is named where it is. Nothing of it stays.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { causeway, run, TestLab, type UpReport } from './harness.ts'

type HopJson = {
  readonly node: string
  readonly pod?: string
  readonly device: string
  readonly place: string
  readonly isExpected: boolean
  readonly isSeen: boolean
  readonly sighting?: { readonly role: string; readonly drop?: { readonly reason: string } }
}
type TraceJson = {
  readonly there: readonly HopJson[]
  readonly back: readonly HopJson[]
  readonly notes: readonly string[]
  readonly blind: readonly unknown[]
  readonly behind?: { readonly pod?: string }
  readonly verdict: {
    readonly outcome: string
    readonly text: string
    readonly code?: string
    readonly remedy?: string
    readonly fullBytes?: number
    readonly lastSeen?: HopJson
    readonly firstNotSeen?: HopJson
  }
  readonly exitStatus: number
}

suite('trace', { timeout: 240_000 }, () => {
  const lab = new TestLab()
  after(() => lab[Symbol.dispose]())
  let pods: UpReport['pods'] = []
  const podOn = (node: string, index = 0): string => pods.filter((each) => each.node === node)[index]!.name
  const addrOf = (name: string): string => pods.find((each) => each.name === name)!.addrs[0]!

  const trace = (...args: readonly string[]): TraceJson => {
    const { status, stdout, stderr } = run(causeway, ['trace', '--lab', lab.name, '--json', ...args])
    assert.notEqual(stdout, '', `${args.join(' ')}: ${stderr}`)
    const told = JSON.parse(stdout) as TraceJson
    assert.equal(told.exitStatus, status, stdout)
    return told
  }

  const healthy = (...args: readonly string[]): TraceJson => {
    const told = trace(...args)
    assert.equal(told.exitStatus, 0, `${args.join(' ')}: ${told.verdict.text}`)
    assert.deepEqual([told.notes, told.blind], [[], []])
    for (const hops of [told.there, told.back]) {
      assert.deepEqual(
        hops.filter(({ isExpected, isSeen }) => isExpected && !isSeen),
        [],
        `${args.join(' ')}: places that were not seen`,
      )
      // a packet that has arrived ends where no process wants it, or is read by a tap, as the lab's pods have; a node may tell of a shorter way
      assert.deepEqual(
        hops.filter(
          ({ isExpected, place, sighting }) =>
            !isExpected &&
            place !== 'read' &&
            sighting?.drop?.reason !== 'NO_SOCKET' &&
            !sighting?.role.endsWith('-error'),
        ),
        [],
        `${args.join(' ')}: places that nobody expected`,
      )
    }
    return told
  }

  test('on a healthy cluster every place that is expected is seen, there and back', () => {
    pods = lab.up('--nodes', '3', '--pods', '5', '--datapath', 'mixed').pods
    const [near, beside, far] = [podOn('node-1'), podOn('node-1', 1), podOn('node-2')]
    assert.equal(healthy(near, far).verdict.fullBytes, 1450)
    assert.equal(healthy(far, near, '--family', '6').verdict.fullBytes, 1430)
    healthy(near, beside)
    healthy(near, `${far}:8080`)
    healthy(near, far, '--udp')
    healthy('node-1', far)
    healthy(near, 'node-2')
    healthy('node-2', 'node-3')
    const closed = trace(near, `${far}:81`)
    assert.equal(closed.verdict.outcome, 'closed')
  })

  test('a Service is followed to the pod behind it', () => {
    const [near, far] = [podOn('node-1'), podOn('node-2')]
    lab.mustInside(
      'node-1',
      'sh',
      '-ec',
      `nft add table ip svc; nft 'add chain ip svc pre { type nat hook prerouting priority dstnat; }'
       nft add rule ip svc pre ip daddr 10.96.7.7 tcp dport 80 dnat to ${addrOf(far)}:8080`,
    )
    const told = healthy(near, '10.96.7.7:80')
    assert.equal(told.behind?.pod, `default/${far}`)
    lab.mustInside('node-1', 'nft', 'delete', 'table', 'ip', 'svc')
  })

  test('what is broken is named, where it is', () => {
    const [near, far] = [podOn('node-1'), podOn('node-2')]
    const inNode = (node: string, script: string): string => lab.mustInside(node, 'sh', '-ec', script)
    const broken = (script: readonly [node: string, make: string, unmake: string], ...args: readonly string[]) => {
      const [node, make, unmake] = script
      inNode(node, make)
      try {
        const told = trace(...(args.length > 0 ? args : [near, far]))
        assert.equal(told.exitStatus, 1)
        return told.verdict
      } finally {
        inNode(node, unmake)
      }
    }
    const blackhole = broken([
      'node-1',
      `ip route add blackhole ${addrOf(far)}`,
      `ip route del blackhole ${addrOf(far)}`,
    ])
    assert.match(blackhole.text, /at cw-br0 of node-1: .*blackhole/)
    assert.equal(blackhole.code, 'CW1302')

    // that node's own kernel answers then
    const impostor = broken(['node-1', `ip addr add ${addrOf(far)}/32 dev lo`, `ip addr del ${addrOf(far)}/32 dev lo`])
    assert.match(
      impostor.text,
      /never came to pod default\/\S+: node-1 takes it for its own, and answers: address \S+ on device lo/,
    )
    assert.equal(impostor.code, 'CW1303')

    const between = broken([
      'router',
      `nft add table bridge bad; nft 'add chain bridge bad f { type filter hook forward priority 0; }'
       nft add rule bridge bad f ip daddr 172.30.1.12 udp dport 8472 drop`,
      'nft delete table bridge bad',
    ])
    assert.match(between.text, /left node-1 by eth0 and never came to eth0 of node-2/)
    assert.deepEqual([between.lastSeen?.node, between.firstNotSeen?.node], ['node-1', 'node-2'])

    const backwards = broken([
      'router',
      `nft add table bridge bad; nft 'add chain bridge bad f { type filter hook forward priority 0; }'
       nft add rule bridge bad f ip saddr 172.30.1.12 udp dport 8472 drop`,
      'nft delete table bridge bad',
    ])
    assert.equal(backwards.outcome, 'answer-lost')
    assert.match(backwards.text, /left node-2 by eth0 and never came to eth0 of node-1/)

    const small = broken([
      'router',
      `nft add table bridge bad; nft 'add chain bridge bad f { type filter hook forward priority 0; }'
       nft add rule bridge bad f meta length \\> 1450 drop`,
      'nft delete table bridge bad',
    ])
    assert.match(small.text, /a small packet is answered, one of 1450 bytes is not$/)
    assert.match(small.remedy ?? '', /MTU/)

    const tunnelPort = broken([
      'node-2',
      `nft add table ip bad; nft 'add chain ip bad in { type filter hook input priority 0; }'
       nft add rule ip bad in udp dport 8472 drop`,
      'nft delete table ip bad',
    ])
    assert.match(tunnelPort.text, /dropped at eth0 of node-2: table ip bad .*NETFILTER_DROP/)
    assert.equal(tunnelPort.code, 'CW7002')

    const tooLarge = trace(near, far, '--size', '1451')
    assert.equal(tooLarge.verdict.outcome, 'not-sent')
    assert.match(tooLarge.verdict.remedy ?? '', /1450/)
  })

  test('an address that no pod has ends on the node whose pod CIDR it is of, which says so', () => {
    const unused = (node: string, family: 0 | 1): string =>
      pods.find((each) => each.node === node)!.addrs[family]!.replace(/[^.:]+$/, '200')
    for (const [sender, node, family] of [
      ['node-1', 'node-2', 0],
      ['node-2', 'node-1', 1],
      ['node-1', 'node-1', 1],
      ['node-2', 'node-2', 0],
    ] as const) {
      const addr = unused(node, family)
      const { verdict, exitStatus, blind, notes } = trace(podOn(sender), addr)
      const text = verdict.text.replaceAll(/\s+/g, ' ')
      assert.ok(text.includes(`no pod of ${node} has ${addr}: its agent knows of none, and nobody on `), text)
      // a kernel that has asked for the MAC in vain for seconds says so to the sender
      assert.match(verdict.outcome, /^(lost|refused)$/, text)
      assert.deepEqual([exitStatus, blind, notes], [1, [], []], text)
      assert.match(verdict.remedy ?? '', /causeway ipam show/)
    }
  })

  test('a datagram that a process has, and does not answer, and what is no host', async () => {
    const [near, far] = [podOn('node-1'), podOn('node-2')]
    const silent = `require('dgram').createSocket('udp4').on('message', () => {}).bind(5353, () => console.log('bound'))`
    const inPod = ['netns', 'exec', `cw-${lab.name}-pod-default-${far}`, process.execPath, '-e', silent]
    const child = spawn('ip', inPod, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      const { verdict, exitStatus } = trace(near, `${far}:5353`, '--udp')
      assert.equal(verdict.outcome, 'taken', verdict.text)
      assert.equal(exitStatus, 4)
    } finally {
      child.kill('SIGKILL')
    }
    const group = run(causeway, ['trace', '--lab', lab.name, near, '224.0.0.1'])
    assert.equal(group.status, 2)
    assert.match(group.stderr, /224\.0\.0\.1 is a multicast group/)
  })

  test('bytes are written for other programs and a page for browsers, and connection tracking keeps nothing', () => {
    const file = join(tmpdir(), `causeway-trace-${process.pid}`)
    const [near, far] = [podOn('node-1'), podOn('node-2')]
    try {
      trace(near, `${far}:8080`, '--pcap', file, '--html', `${file}.html`)
      assert.equal(readFileSync(file).readUInt32LE(0), 0x0a0d_0d0a)
      const page = readFileSync(`${file}.html`, 'utf8')
      assert.match(page, new RegExp(`<title>Answered: default/${near} → default/${far} `))
      assert.ok(page.length < 150_000, `${page.length} bytes`)
      // both ways, at each of the five places of the sender's node and of the receiver's
      assert.ok(page.split('data-step').length > 20)
    } finally {
      rmSync(file, { force: true })
      rmSync(`${file}.html`, { force: true })
    }
    for (const node of ['node-1', 'node-2']) {
      const left = lab.mustInside(node, 'cat', '/proc/net/nf_conntrack').split('\n')
      // probes of the matrix leave theirs, on port 8080 too; those of a trace are ended by the kernel of the sender
      assert.deepEqual(
        left.filter((line) => line.includes(`src=${addrOf(near)}`) && line.includes('SYN_')),
        [],
      )
    }
  })

  test('a node whose agent is away is told, and what is known of the others is too', () => {
    const [near, far] = [podOn('node-1'), podOn('node-2')]
    lab.kill('agent-node-2')
    const told = trace(near, far)
    assert.equal(told.blind.length, 1)
    assert.ok(told.there.some(({ node, place, isSeen }) => node === 'node-1' && place === 'transmit' && isSeen))
    assert.equal(told.exitStatus, 0, 'the answer came to the sender, whose node watches')
    const { status, stderr } = run(causeway, ['trace', '--lab', lab.name, far, near])
    assert.equal(status, 3)
    assert.match(stderr, /node-2 does not send the probe/)
    assert.equal(run(causeway, ['trace', '--lab', lab.name, near, 'nobody']).status, 2)
  })
})
