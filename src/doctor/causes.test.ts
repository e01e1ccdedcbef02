import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ownProblems } from './agents.ts'
import { arrange } from './causes.ts'
import { diagnose } from './diagnose.ts'
import { namesIn } from './extent.ts'
import { lostPackets, packetText } from './losses.ts'
import { clusterOf, dropAt, onWire, packetOf, told, type Told, wholePacket } from './testing/answers.ts'
import { findingsOf, short } from './testing/findings.ts'
import { type FollowedPacket } from './types.ts'

test('a healthy cluster has no findings', () => {
  assert.deepEqual(findingsOf([], [wholePacket('node-1', 'node-2')]), [])
})

test('what every agent tells of one Node object is told once', () => {
  const twin = told('CW1104', 'node/old', 'address 172.30.1.11 is also that of node node-1')
  const [finding, ...more] = findingsOf([
    ['node-1', twin],
    ['node-2', twin],
  ])
  assert.deepEqual(more, [])
  assert.deepEqual([finding!.nodes, finding!.objects], [['node-1', 'node-2'], ['node/old']])
})

test('lost packets and broken ways stand below what is in their way', () => {
  const rule = told('CW1301', 'rule/5270', 'packets to 10.244.1.0/24 of node-2 do not go as planned')
  const [finding, ...more] = findingsOf(
    [
      ['node-1', rule],
      ['node-2', told('CW1306', 'node/node-1')],
    ],
    [packetOf('node-1', 'node-2'), packetOf('node-2', 'node-1')],
  )
  assert.deepEqual(more, [])
  assert.deepEqual(finding!.consequences, [
    'node-2 tells CW1306 node/node-1: so it is',
    '2 of the packets that were followed are lost, the first: an ICMP echo over IPv4 from pod default/web-1-1 on node-1 to pod default/web-2-1 on node-2: it left node-1 and never came',
  ])
})

test('each problem and packet that follows from a cause is named to programs', () => {
  const rule = told('CW7002', 'node/node-1', 'a rule drops packets of the tunnel')
  const problems = ['node-2', 'node-3'].map((node) => [node, told('CW1306', 'node/node-1')] as const)
  const own = ['node-2', 'node-3'].map((node) => told('CW1306', `node/${node}`))
  const packets = [packetOf('node-2', 'node-1'), packetOf('node-1', 'node-3')]
  const [finding, ...more] = findingsOf([['node-1', rule, ...own], ...problems], packets)
  assert.deepEqual(more, [])
  assert.deepEqual(finding!.explains.map(({ code, object }) => `${code} ${object}`).toSorted(), [
    'CW1306 node/node-1',
    'CW1306 node/node-2',
    'CW1306 node/node-3',
  ])
  assert.deepEqual(finding!.lost, packets.map(packetText))
  // what no other cause is known of is what was lost
  const [wire] = findingsOf([], [packetOf('node-1', 'node-2')])
  assert.deepEqual([wire!.explains, wire!.lost.length], [[], 1])
})

test('a cause hides nothing of other nodes, other ways, other pods, or of packets that it cannot spoil', () => {
  const rule = told('CW1301', 'rule/5270', 'packets to 10.244.1.0/24 of node-2 do not go as planned')
  const gone = told('CW3106', 'pod/default/web-1-2')
  const codesOf = (problems: Told, packets: readonly FollowedPacket[]) =>
    findingsOf(problems, packets, 4).map(({ code }) => code)
  assert.deepEqual(codesOf([['node-1', rule]], [packetOf('node-1', 'node-3')]), ['CW1301', 'CW6102'])
  assert.deepEqual(codesOf([['node-1', rule]], [packetOf('node-3', 'node-4')]), ['CW1301', 'CW6102'])
  assert.deepEqual(codesOf([['node-1', gone]], [packetOf('node-1', 'node-3')]), ['CW3106', 'CW6102'])
  const large = packetOf('node-1', 'node-2', { text: 'lost; a small packet is answered, one of 1450 bytes is not' })
  assert.deepEqual(codesOf([['node-1', rule]], [large]), ['CW1301', 'CW8101'])
  assert.deepEqual(codesOf([['node-1', told('CW5001', 'setting/X')]], [packetOf('node-1', 'node-2')]), [
    'CW5001',
    'CW6102',
  ])
})

test('what a trace blames is a cause, told by an agent or not', () => {
  const blamed = packetOf('node-1', 'node-2', {
    code: 'CW7001',
    remedy: 'let them pass',
    drop: dropAt({ node: 'node-2' }),
  })
  assert.deepEqual(findingsOf([], [blamed]).map(short), [['CW7001 node/node-2', 1]])
  const own = told('CW7001', 'chain/inet fw forward', 'a rule drops packets')
  assert.deepEqual(findingsOf([['node-2', own]], [blamed]).map(short), [['CW7001 chain/inet fw forward', 1]])
  assert.deepEqual(findingsOf([['node-3', own]], [blamed]).map(short), [
    ['CW7001 chain/inet fw forward', 0],
    ['CW7001 node/node-2', 1],
  ])
})

test('what one maker did to a node in both families is one finding', () => {
  const route = (cidr: string) => told('CW1302', `route/${cidr}`, `packets to ${cidr} of node-2 do not go as planned`)
  const [finding, ...more] = findingsOf([['node-1', route('10.244.1.0/24'), route('fd10:244:0:1::/64')]])
  assert.deepEqual(more, [])
  assert.deepEqual(finding!.objects, ['route/10.244.1.0/24', 'route/fd10:244:0:1::/64'])
})

test('a claim to a whole cluster CIDR is the cause of its overlaps', () => {
  const wide = told('CW1110', 'node/wide')
  assert.deepEqual(findingsOf([['node-1', wide, told('CW1103', 'node/wide')]]).map(short), [['CW1110 node/wide', 1]])
  assert.deepEqual(findingsOf([['node-1', wide, told('CW1103', 'node/other')]]).map(short), [
    ['CW1110 node/wide', 0],
    ['CW1103 node/other', 0],
  ])
})

test('a node that reaches no other is one finding; one way between others that do is another', () => {
  const lost = [packetOf('node-1', 'node-2'), packetOf('node-3', 'node-1')]
  assert.deepEqual(findingsOf([], [...lost, wholePacket('node-2', 'node-3')]).map(short), [['CW6102 node/node-1', 1]])
  const far = [packetOf('node-4', 'node-5'), packetOf('node-5', 'node-4'), wholePacket('node-4', 'node-3')]
  assert.deepEqual(
    findingsOf([], [...lost, ...far], 5).map(({ objects }) => objects[0]),
    ['node/node-1', 'way/node-4 to node-5'],
  )
})

test('a silent agent is a finding and explains nothing, unless nothing of the node answers', () => {
  const answers = clusterOf(3, [], ['node-2'])
  assert.deepEqual(
    diagnose(answers, [wholePacket('node-1', 'node-2'), packetOf('node-3', 'node-2')]).findings.map(short),
    [
      ['CW6001 node/node-2', 0],
      ['CW6102 way/node-3 to node-2', 0],
    ],
  )
  const dead = diagnose(clusterOf(3, [['node-1', told('CW1306', 'node/node-2')]], ['node-2']), [
    packetOf('node-1', 'node-2'),
  ])
  assert.deepEqual(dead.findings.map(short), [['CW6003 node/node-2', 2]])
})

test('of a node that answers nothing no trace tells where packets ended, and it is one finding all the same', () => {
  const unseen = packetOf('node-1', 'node-2', {
    outcome: 'untold',
    text: 'the probe left eth0 of node-1; what became of it on node-2 is not known: no agent there was asked to watch',
    direction: 'there',
    last: { node: 'node-1', device: 'eth0', place: 'transmit', isExpected: true },
  })
  const answers = clusterOf(3, [['node-1', told('CW1306', 'node/node-2')]], ['node-2'])
  const dead = diagnose(answers, [unseen, wholePacket('node-1', 'node-3')])
  assert.deepEqual([dead.findings.map(short), dead.notes], [[['CW6003 node/node-2', 2]], []])
  const way = { node: 'node-2', path: 'node', family: 4, dst: '172.30.1.12', way: 'direct', state: 'ok' } as const
  const counts = { sizeBytes: 84, sent: 60, answered: 60 }
  const peers = {
    node: 'node-1',
    isOn: true,
    others: 2,
    ways: [{ ...way, sinceMs: 0, windowMs: 60_000, small: counts }],
  }
  const reached = answers.map((each) => (each.node === 'node-1' ? { ...each, peers } : each))
  assert.deepEqual(diagnose(reached, [unseen]).findings.map(short), [
    ['CW6001 node/node-2', 0],
    ['CW1306 node/node-2', 0],
  ])
})

test('a node that answers no echo request while its pods are reached is no finding', () => {
  const way = { node: 'node-2', family: 4, dst: '172.30.1.12', sinceMs: 0, windowMs: 60_000 } as const
  const small = { sizeBytes: 84, sent: 60, answered: 0 }
  const broken = told('CW1306', 'node/node-2', 'node-2: no answer at all')
  const reportOf = (state: 'ok' | 'broken') => ({
    node: 'node-1',
    isOn: true,
    others: 1,
    ways: [
      { ...way, path: 'node', way: 'direct', state, small } as const,
      { ...way, path: 'pod', way: 'vxlan', state: 'one way', small } as const,
    ],
  })
  const diagnosisOf = (state: 'ok' | 'broken', ...packets: readonly FollowedPacket[]) =>
    diagnose(
      clusterOf(2, [['node-1', broken]]).map((each) =>
        each.node === 'node-1' ? { ...each, peers: reportOf(state) } : each,
      ),
      packets,
    )
  const whole = [wholePacket('node-1', 'node-2'), wholePacket('node-2', 'node-1')]
  const { findings, notes } = diagnosisOf('broken', ...whole)
  assert.deepEqual(findings, [])
  assert.match(notes[0]!.text, /^node-2 answers no echo request of node-1, and packets of pods/)
  assert.equal(diagnosisOf('broken').findings.length, 1, 'no packet says otherwise')
  assert.equal(diagnosisOf('broken', whole[0]!, packetOf('node-2', 'node-1')).findings.length, 1)
  assert.equal(diagnosisOf('ok', ...whole).findings.length, 1, 'only one of several ways is silent')
})

test('codes and names that an agent makes up are told as they are', () => {
  const strange = { code: 'constructor', object: 'node/toString', message: 'm (((', how: 'h', remedy: 'r' }
  const lost = packetOf('node-1', 'node-2', { code: '__proto__' })
  assert.deepEqual(findingsOf([['node-1', strange]], [lost]).map(short), [
    ['constructor node/toString', 0],
    ['CW6102 way/node-1 to node-2', 0],
  ])
})

test('an agent whose answer is of no use is not called gone', () => {
  const answers = clusterOf(2, [], ['node-2']).map((each) =>
    each.status === undefined
      ? {
          ...each,
          silences: [{ what: 'status', why: 'it answers in the name of node node-1', isStrange: true as const }],
        }
      : each,
  )
  const [finding] = diagnose(answers, [wholePacket('node-1', 'node-2')]).findings
  assert.match(finding!.message, /^its agent is there, and its answer is of no use: it answers in the name of/)
})

test('a cluster in two parts is one finding, whoever tells of which ways', () => {
  const nodes = [1, 2, 3, 4, 5, 6].map((number) => `node-${number}`)
  const partOf = (node: string): boolean => node < 'node-4'
  const problems = nodes.map(
    (node) =>
      [
        node,
        ...nodes.filter((other) => partOf(other) !== partOf(node)).map((other) => told('CW1306', `node/${other}`)),
      ] as const,
  )
  const ring = nodes.map((node, index) => {
    const next = nodes[(index + 1) % 6]!
    return partOf(node) === partOf(next) ? wholePacket(node, next) : packetOf(node, next)
  })
  const [finding, ...more] = findingsOf(problems, ring, 6)
  assert.deepEqual(more, [])
  assert.equal(finding!.code, 'CW1307')
  assert.match(finding!.message, /^the cluster is in 2 parts, .*: node-1, node-2, node-3 \| node-4, node-5, node-6$/)
  const alone = findingsOf(
    [...problems, ['node-1', told('CW3106', 'pod/a/b')]],
    [...ring, packetOf('node-1', 'node-7')],
    7,
  )
  assert.deepEqual(
    alone.map(({ code }) => code),
    ['CW3106', 'CW1307', 'CW6102'],
    'what is of no two parts is told for itself',
  )
})

test('what a node does to packets in its own kernel explains none that is lost behind it', () => {
  const contest = told('CW2009', 'sysctl/net/ipv4/ip_forward', 'somebody changes it')
  const broken = told('CW1306', 'node/node-2')
  assert.deepEqual(findingsOf([['node-1', contest, broken]], [onWire('node-1', 'node-2')]).map(short), [
    ['CW2009 sysctl/net/ipv4/ip_forward', 0],
    ['CW1306 node/node-2', 1],
  ])
  assert.deepEqual(findingsOf([['node-1', contest, broken]], [packetOf('node-1', 'node-2')]).map(short), [
    ['CW2009 sysctl/net/ipv4/ip_forward', 2],
  ])
  // where no packet was followed, what agents say is all there is
  assert.deepEqual(findingsOf([['node-1', contest, broken]]).map(short), [['CW2009 sysctl/net/ipv4/ip_forward', 1]])
})

test('what a router refuses, since nobody tells it a way any more, follows from what cuts a node off', () => {
  const mac = told('CW8105', 'neighbour/172.30.1.1', 'its neighbour entry has another MAC')
  const noWay = (node: string) => told('CW1201', `node/${node}`, `no route to pods of ${node}: BGP tells no way to it`)
  const lost = [
    onWire('node-1', 'node-2'),
    onWire('node-2', 'node-1', { outcome: 'refused', text: '172.30.2.1 refuses' }),
  ]
  const problems: Told = [
    ['node-1', mac, noWay('node-2')],
    ['node-2', noWay('node-1')],
  ]
  assert.deepEqual(findingsOf(problems, lost, 2).map(short), [['CW8105 neighbour/172.30.1.1', 2]])
})

test('who switches forwarding off is the cause of what a device does not forward, and no other contest is', () => {
  const last = { node: 'node-1', device: 'eth0', place: 'receive', isExpected: true } as const
  const text = 'the probe was dropped at eth0 of node-1: net.ipv4.conf.eth0.forwarding is 0'
  const stopped = packetOf('node-2', 'node-1', { code: 'CW1305', text, last })
  const routes = told(
    'CW2009',
    'node/routes',
    'somebody deletes routes of Causeway: 10.244.1.0/24 had to be made again',
  )
  const sysctl = told('CW2009', 'sysctl/net/ipv4/ip_forward', 'somebody changes it again and again')
  assert.deepEqual(findingsOf([['node-1', routes, sysctl]], [stopped]).map(short), [
    ['CW2009 node/routes', 0],
    ['CW2009 sysctl/net/ipv4/ip_forward', 1],
  ])
  assert.deepEqual(findingsOf([['node-1', routes]], [stopped]).map(short), [
    ['CW2009 node/routes', 0],
    ['CW1305 node/node-1', 1],
  ])
})

test('where Node objects give addresses of pods to another node, others drop packets of those pods', () => {
  const former = told('CW1107', 'node/node-1', 'pods with addresses of its former pod CIDR 10.244.0.0/24 are cut off')
  const strange = (node: string) => [node, told('CW3232', `node/${node}`, '62 dropped: the packet came')] as const
  const others = [strange('node-2'), strange('node-3')]
  assert.deepEqual(findingsOf([['node-1', former], ...others]).map(short), [['CW1107 node/node-1', 1]])
  assert.equal(findingsOf(others).length, 2, 'without such an object nobody knows why')
  const rule = told('CW1301', 'rule/5270', 'packets to 10.244.1.0/24 of node-2 do not go as planned')
  assert.equal(findingsOf([['node-1', rule], ...others]).length, 3)
})

test('who takes rules out of a chain is the cause of what that chain drops', () => {
  const drops = told('CW7001', 'chain/inet fw forward', 'table inet fw drops packets')
  const fights = told('CW7004', 'chain/inet fw forward')
  assert.deepEqual(findingsOf([['node-1', drops, fights]]).map(short), [['CW7004 chain/inet fw forward', 1]])
  const bridged = told('CW7006', 'chain/inet fw forward', 'table inet fw drops frames')
  assert.deepEqual(findingsOf([['node-1', bridged, drops]]).map(short), [['CW7001 chain/inet fw forward', 1]])
  assert.deepEqual(findingsOf([['node-1', told('CW7001', 'chain/inet other forward'), fights]]).map(short), [
    ['CW7001 chain/inet other forward', 0],
    ['CW7004 chain/inet fw forward', 0],
  ])
})

test('whatever is told, each sign is in one finding, and no finding is below another', () => {
  const nodes = ['node-1', 'node-2', 'node-3', 'node-4']
  const node = fc.constantFrom(...nodes)
  const problem = fc
    .tuple(
      node,
      fc.constantFrom('CW1104', 'CW1205', 'CW1301', 'CW1302', 'CW1304', 'CW1306', 'CW3106', 'CW5001', 'CW7001'),
      node,
    )
    .map(([at, code, other]) => {
      const object =
        code === 'CW3106'
          ? `pod/default/web-${at.slice(-1)}-1`
          : code.startsWith('CW13') && code !== 'CW1306'
            ? `route/${other}`
            : `node/${other}`
      return [at, told(code, object, `packets to ${other}`)] as const
    })
  const packet = fc.tuple(node, node).map(([from, to]) => packetOf(from, to))
  const anyParts = fc.constantFrom([], [nodes.slice(0, 2), nodes.slice(2)], [nodes])
  fc.assert(
    fc.property(
      fc.array(problem, { maxLength: 12 }),
      fc.array(packet, { maxLength: 8 }),
      anyParts,
      (problems, packets, parts) => {
        const answers = clusterOf(4, problems)
        const signs = [...ownProblems(answers, namesIn(answers)), ...lostPackets(packets)]
        const findings = arrange(signs, { ways: new Set(), part: new Set(), size: new Set(), parts })
        const objects = findings.flatMap(({ code, objects: all }) => all.map((object) => `${code} ${object}`))
        // the same code and object at two nodes are two
        const most = new Map<string, number>()
        for (const { code, object } of signs) most.set(`${code} ${object}`, (most.get(`${code} ${object}`) ?? 0) + 1)
        for (const each of new Set(objects))
          if (!/CW6102|CW1307/.test(each))
            assert.ok(objects.filter((one) => one === each).length <= (most.get(each) ?? 1), each)
        if (signs.length > 0) assert.ok(findings.length > 0)
        for (const sign of signs)
          if (sign.loss === undefined)
            assert.ok(
              objects.includes(`${sign.code} ${sign.object}`) ||
                findings.some(({ consequences }) =>
                  consequences.some((line) => line.includes(sign.code) || /more/.test(line)),
                ),
              `${sign.code} ${sign.object} is told`,
            )
        // what is made by somebody is never hidden
        for (const sign of signs)
          if (!['CW1205', 'CW1304', 'CW1306', 'CW6102'].includes(sign.code))
            assert.ok(objects.includes(`${sign.code} ${sign.object}`), sign.code)
      },
    ),
    { numRuns: 300 },
  )
})

test('a full table of neighbours is the cause of ways that are broken, however the agents around call them', () => {
  const full = told('CW8107', 'neighbours/IPv4', "1024 of 1024 entries of the kernel's table are in use")
  const silent = told('CW1306', 'node/node-1')
  const problems: Told = [
    ['node-1', full, told('CW1307', 'node/node-1'), told('CW6002', 'api/server')],
    ['node-2', silent],
    ['node-3', silent],
  ]
  const lost = packetOf('node-2', 'node-1', {
    code: 'CW8107',
    drop: {
      node: 'node-1',
      place: 'drop',
      role: 'answer',
      timeMs: 1,
      lengthBytes: 1,
      skb: '',
      bytes: '',
      startsAt: 'network',
      drop: { reason: 'NEIGH_CREATEFAIL', function: 'ip_finish_output2' },
    },
  })
  const codes = (packets: readonly FollowedPacket[]) => findingsOf(problems, packets, 3).map(({ code }) => code)
  assert.deepEqual(codes([]), ['CW8107'])
  assert.deepEqual(codes([lost]), ['CW8107'])
  // all nodes of a link have as many neighbours
  const [finding, ...more] = findingsOf([...problems, ['node-2', full], ['node-3', full]], [lost], 3)
  assert.deepEqual(more, [])
  assert.deepEqual(finding!.nodes, ['node-1', 'node-2', 'node-3'])
  assert.equal(finding!.message, full.message)
})
