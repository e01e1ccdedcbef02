// What the kernel tells of a probe on its way, of its answer and of errors, with real packets through two nodes.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { errorCode } from '#/lib/error-code.ts'
import { BpfProgram } from '#/kernel/bpf/program.ts'
import { families } from '#/lib/addr.ts'
import { type Observer } from '#/kernel/trace/observer.ts'
import { type Sighting } from '#/kernel/trace/sighting.ts'
import { decodeFrame } from '#/wire/frames/decode.ts'
import { traceProtocols } from '#/wire/bpf/trace-words.ts'
import { addrOf, type Trace, TraceWorld, traced, wordsOf } from './trace-world.ts'

const there = [
  'leftPod:eth0:queue leftPod:eth0:transmit left:host0:receive left:br0:receive left:vx0:queue left:vx0:transmit',
  'left:eth0:queue left:eth0:transmit right:eth0:receive right:vx0:receive right:br0:queue right:br0:transmit',
  'right:host0:queue right:host0:transmit rightPod:eth0:receive',
].join(' ')
const back = [
  'rightPod:eth0:queue rightPod:eth0:transmit right:host0:receive right:br0:receive right:vx0:queue right:vx0:transmit',
  'right:eth0:queue right:eth0:transmit left:eth0:receive left:vx0:receive left:br0:queue left:br0:transmit',
  'left:host0:queue left:host0:transmit leftPod:eth0:receive',
].join(' ')

/** Sightings on the way, without those of its end: there somebody takes the packet, or nobody waits for it. */
const onTheWay = (sightings: readonly Sighting[]): Sighting[] =>
  sightings.filter(({ place }) => place !== 'drop' && place !== 'read')
/** Who took a packet. */
const readsIn = (world: TraceWorld, sightings: readonly Sighting[]): string[] =>
  sightings.filter(({ place }) => place === 'read').map((each) => `${each.role} ${wordsOf(world, [each])}`)
/** By the names that functions have on Linux 6.18. */
const dropsIn = (world: TraceWorld, sightings: readonly Sighting[]): string[] =>
  sightings.flatMap(({ drop, ...at }) => {
    if (drop === undefined) return []
    const name = drop.function.replace(/^icmp(v6)?_rcv$/, 'ping_rcv').replace('nf_hook_slow', 'nft_do_chain')
    return [`${at.role} ${wordsOf(world, [at])} ${drop.reason} ${name}`]
  })

function layersAt(world: TraceWorld, sightings: readonly Sighting[], word: string): string {
  const sighting = sightings.find((each) => wordsOf(world, [each]) === word)
  assert.ok(sighting, `nothing was seen at ${word}`)
  return decodeFrame(sighting.bytes, sighting.startsAt)
    .map(({ name }) => name)
    .join(' ')
}

for (const outer of families) {
  suite(`a probe through a tunnel over IPv${outer}`, () => {
    let world: TraceWorld
    let observer: Observer
    before(async () => {
      world = new TraceWorld(outer)
      observer = await world.observe()
    })
    after(() => {
      observer[Symbol.dispose]()
      world[Symbol.dispose]()
    })

    for (const family of families)
      for (const protocol of traceProtocols)
        test(`IPv${family} ${protocol} is seen at every place there and back`, async () => {
          const seen = await traced(world, observer, { protocol, family })
          const answer = protocol === 'udp' ? 'probe-error' : 'answer'
          const way = onTheWay(seen)
          assert.equal(
            wordsOf(
              world,
              way.filter(({ role }) => role === 'probe'),
            ),
            there,
          )
          assert.equal(
            wordsOf(
              world,
              way.filter(({ role }) => role === answer),
            ),
            back,
          )
          assert.equal(way.length, 30)
          const ip = family === 4 ? 'ipv4' : 'ipv6'
          const inner = protocol === 'icmp' ? `${ip} ${family === 4 ? 'icmp' : 'icmpv6'}` : `${ip} ${protocol}`
          const rest = protocol === 'tcp' ? inner : `${inner} payload`
          assert.equal(layersAt(world, seen, 'left:vx0:queue'), `ethernet ${rest}`)
          const outerLayers = `ethernet ${outer === 4 ? 'ipv4' : 'ipv6'} udp vxlan ethernet ${rest}`
          assert.equal(layersAt(world, seen, 'right:eth0:receive'), outerLayers)
          const [first] = seen
          assert.equal(first!.lengthBytes, first!.bytes.length)
          // where nobody waits for a packet, the kernel drops it at the end of its way
          const ends = {
            icmp: ['answer leftPod:eth0:drop NO_SOCKET ping_rcv'],
            udp: [`probe rightPod:eth0:drop NO_SOCKET __udp${family}_lib_rcv`],
            tcp: ['probe rightPod:eth0', 'answer leftPod:eth0'].map((at) => `${at}:drop NO_SOCKET tcp_v${family}_rcv`),
          }
          assert.deepEqual(dropsIn(world, seen), ends[protocol])
          const taken = { icmp: ['probe rightPod:eth0:read'], udp: ['probe-error leftPod:eth0:read'], tcp: [] }
          assert.deepEqual(readsIn(world, seen), taken[protocol])
        })
  })
}

suite('what becomes of a probe', () => {
  let world: TraceWorld
  let observer: Observer
  before(async () => {
    world = new TraceWorld()
    observer = await world.observe()
  })
  after(() => {
    observer[Symbol.dispose]()
    world[Symbol.dispose]()
  })

  const nft = (rest: string, policy = 'drop'): string =>
    `nft add table inet t; nft 'add chain inet t c { type filter hook ${rest} priority 0; policy ${policy}; }'`
  const flush = 'nft flush ruleset'

  test("a firewall resets a connection in the receiver's name, and the receiver never sees the probe", async () => {
    world.right.sh(
      `nft 'add table inet t { chain c { type filter hook forward priority 0; tcp dport 81 reject with tcp reset; }; }'`,
    )
    const seen = await traced(world, observer, { protocol: 'tcp', port: 81 })
    world.right.sh(flush)
    const places = seen.map((each) => `${each.role} ${wordsOf(world, [each])}`)
    assert.ok(places.includes('answer leftPod:eth0:receive'))
    assert.ok(!places.some((each) => each.includes('rightPod')), places.join(', '))
    assert.ok(dropsIn(world, seen).includes('probe right:vx0:drop NETFILTER_DROP nft_do_chain'))
  })

  /** Where it is broken, how, how that is mended, and the drop that is told. */
  const faults: readonly (readonly [string, 'left' | 'right' | 'leftPod' | 'rightPod', string, string, RegExp])[] = [
    ['a rule on its way', 'left', nft('forward'), flush, /^left:br0:drop NETFILTER_DROP nft_do_chain$/],
    ['a rule where it arrives', 'rightPod', nft('input'), flush, /^rightPod:eth0:drop NETFILTER_DROP nft_do_chain$/],
    ['a rule where it is sent', 'leftPod', nft('output'), flush, /^leftPod::drop NETFILTER_DROP nft_do_chain$/],
    [
      'a rule at the device of the underlay',
      'right',
      `nft add table netdev t; nft 'add chain netdev t c { type filter hook ingress device eth0 priority 0; policy drop; }'`,
      flush,
      /^right:eth0:drop NETFILTER_DROP nft_do_chain$/,
    ],
    [
      'no route',
      'left',
      'ip route del 10.1.2.0/24',
      'ip route add 10.1.2.0/24 via 10.9.0.2 dev vx0 onlink',
      /^left:br0:drop IP_INNOROUTES ip_error$/,
    ],
    [
      'a blackhole',
      'left',
      'ip route add blackhole 10.1.2.10',
      'ip route del blackhole 10.1.2.10',
      /^left:br0:drop NOT_SPECIFIED ip_error$/,
    ],
    [
      'no forwarding',
      'right',
      'sysctl -qw net.ipv4.ip_forward=0',
      'sysctl -qw net.ipv4.ip_forward=1',
      /^right:vx0:drop IP_INADDRERRORS ip_error$/,
    ],
    [
      'a strict reverse path',
      'right',
      'sysctl -qw net.ipv4.conf.vx0.rp_filter=1; ip route add 10.1.1.10 via 192.0.2.1',
      'sysctl -qw net.ipv4.conf.vx0.rp_filter=0; ip route del 10.1.1.10',
      /^right:vx0:drop IP_RPFILTER ip_rcv_finish_core/,
    ],
    [
      'a wrong neighbour',
      'right',
      'ip neigh replace 10.1.2.10 lladdr 02:00:00:00:99:99 dev br0 nud permanent; bridge fdb add 02:00:00:00:99:99 dev host0 master static',
      'ip neigh del 10.1.2.10 dev br0; bridge fdb del 02:00:00:00:99:99 dev host0 master',
      /^rightPod:eth0:drop OTHERHOST ip_rcv_core/,
    ],
  ]
  for (const [name, where, breaking, mending, expected] of faults)
    test(`${name}: the drop is told with the kernel's reason`, async () => {
      world[where].sh(breaking)
      try {
        const seen = await traced(world, observer, { protocol: 'icmp', family: 4, mayBeRefused: true })
        const drops = dropsIn(world, seen).filter((drop) => !drop.includes('ping_rcv'))
        assert.equal(drops.length, 1, drops.join('\n'))
        assert.match(drops[0]!.replace('probe ', ''), expected)
        assert.ok(!seen.some(({ role }) => role === 'answer'))
      } finally {
        world[where].sh(mending)
      }
    })

  test('too large for a route: the drop, and the error that goes back to the sender', async () => {
    world.left.sh('ip route change 10.1.2.0/24 via 10.9.0.2 dev vx0 onlink mtu 600')
    try {
      const seen = await traced(world, observer, { protocol: 'udp', family: 4, sizeBytes: 1000 })
      assert.deepEqual(dropsIn(world, seen), ['probe left:br0:drop PKT_TOO_BIG ip_forward'])
      const errors = seen.filter(({ role }) => role === 'probe-error')
      assert.equal(
        wordsOf(world, errors),
        'left:br0:queue left:br0:transmit left:host0:queue left:host0:transmit leftPod:eth0:receive leftPod:eth0:read',
      )
      const icmp = decodeFrame(errors[0]!.bytes, errors[0]!.startsAt).find(({ name }) => name === 'icmp')!
      assert.equal(icmp.fields.find(({ name }) => name === 'MTU')?.value, 600)
    } finally {
      world.left.sh('ip route change 10.1.2.0/24 via 10.9.0.2 dev vx0 onlink')
      world.leftPod.sh('ip route flush cache')
    }
  })

  test('translated on the way, and answered by a process with other bytes', async () => {
    world.left.sh(`nft -f - <<'RULES'
      table inet nat {
        chain pre { type nat hook prerouting priority -100; ip daddr 10.96.0.1 udp dport 53 dnat ip to 10.1.2.10:9000; }
        chain post { type nat hook postrouting priority 100; oifname vx0 masquerade; }
      }
RULES`)
    const program = `const s = require('dgram').createSocket('udp4')
      s.on('message', (m, from) => s.send('pong', from.port, from.address)).bind(9000, () => console.log('bound'))`
    const echo = world.rightPod.netns.run(() => spawn(process.execPath, ['-e', program], { stdio: 'pipe' }))
    try {
      await once(echo.stdout, 'data')
      const seen = await traced(world, observer, { protocol: 'udp', family: 4, to: '10.96.0.1', port: 53 })
      const of = (role: string): Sighting[] => onTheWay(seen).filter((each) => each.role === role)
      assert.equal(wordsOf(world, of('probe')), there)
      assert.equal(wordsOf(world, of('answer')), back)
      assert.deepEqual(dropsIn(world, seen), [])
      const ends = ({ bytes, startsAt }: Sighting): string => {
        const fields = decodeFrame(bytes, startsAt).findLast(({ name }) => name === 'ipv4')!.fields
        return ['source', 'destination'].map((name) => fields.find((each) => each.name === name)?.value).join(' ')
      }
      assert.equal(ends(of('probe')[0]!), '10.1.1.10 10.96.0.1')
      assert.equal(ends(of('probe').at(-1)!), '10.9.0.1 10.1.2.10')
      assert.equal(ends(of('answer')[0]!), '10.1.2.10 10.9.0.1')
      assert.equal(ends(of('answer').at(-1)!), '10.96.0.1 10.1.1.10')
    } finally {
      echo.kill('SIGKILL')
      world.left.sh('nft flush ruleset')
    }
  })

  test("of nobody else's packets is told, and of none in namespaces that are not observed", async () => {
    using onlyRight = await world.observe('right')
    const target = addrOf('pod', 'right', 4)
    const floods = ['ping -q -i 0.002 -c 100', `ping -q -s 8 -p 0102030405060708 -i 0.002 -c 100`].map(async (ping) =>
      world.leftPod.shAsync(`${ping} ${target} >/dev/null`),
    )
    for (const protocol of traceProtocols) {
      const [all, some] = await Promise.all([
        traced(world, observer, { protocol, family: 4, cookie: 'a1a2a3a4a5a6a7a8' }),
        traced(world, onlyRight, { protocol, family: 4, cookie: 'b1b2b3b4b5b6b7b8' }),
      ])
      for (const [seen, cookie] of [
        [all, 'a1a2a3a4a5a6a7a8'],
        [some, 'b1b2b3b4b5b6b7b8'],
      ] as const)
        if (protocol !== 'tcp') for (const { bytes } of seen) assert.ok(bytes.toHex().includes(cookie), bytes.toHex())
      assert.equal(onTheWay(all).length, 30, `${protocol}: ${wordsOf(world, all)}`)
      assert.deepEqual(
        wordsOf(world, onTheWay(some)),
        [...there.split(' '), ...back.split(' ')].filter((word) => word.startsWith('right:')).join(' '),
      )
    }
    await Promise.all(floods)
  })

  test('another datagram between the same ends is none of it', async () => {
    const cookie = 'f1f2f3f4f5f6f7f8'
    const seen: Sighting[] = []
    const probe = { protocol: 'udp', cookie: Uint8Array.fromHex(cookie) } as const
    using _followed = observer.follow(probe, (each) => seen.push(each))
    await world.send({ protocol: 'udp', cookie })
    const count = seen.length
    const sent = seen[0]!.bytes.toHex()
    assert.ok(sent.endsWith(`${cookie}00000000`))
    await world.send({ protocol: 'udp', frame: Uint8Array.fromHex(sent.replace(cookie, 'f1f2f3f4f5f6f7f9')) })
    assert.equal(seen.length, count)
    await world.send({ protocol: 'udp', frame: Uint8Array.fromHex(sent) })
    assert.ok(seen.length > count)
  })

  test('headers that are seldom: a VLAN tag, options, extension headers', async () => {
    const cookie = 'c1c2c3c4c5c6c7c8'
    const macs = '0200000000ff 0200000000fe'
    const echo = `0800 0000 0007 0001 ${cookie}`
    const options = `4600 0028 1234 4000 4001 0000 0a01010a 0a01020a 01010101`
    const extensions = '6000 0000 0020 0040 fd010001000000000000000000000010 fd010002000000000000000000000010'
    const frames: Readonly<Record<string, readonly [string, string]>> = {
      'ethernet vlan ipv4 icmp payload': [`8100 0064 0800`, `${options}${echo}`],
      'ethernet ipv4 icmp payload': ['0800', `${options}${echo}`],
      'ethernet ipv6 ipv6 options ipv6 options icmpv6 payload': [
        '86dd',
        `${extensions} 3c00000000000000 3a00000000000000 8000 0000 0007 0001 ${cookie}`,
      ],
    }
    for (const [layers, [type, packet]] of Object.entries(frames)) {
      const frame = Uint8Array.fromHex(`${macs}${type}${packet}`.replaceAll(' ', ''))
      const seen = await traced(world, observer, { protocol: 'icmp', cookie, frame })
      assert.equal(layersAt(world, seen, 'left:host0:receive'), layers)
    }
  })
})

/** The programs that a process holds. */
function programsOf(pid: number): number[] {
  const folder = `/proc/${pid}/fdinfo`
  const infos = readdirSync(folder).map((fd) => readFileSync(join(folder, fd), 'utf8'))
  return [...new Set(infos.flatMap((info) => /^prog_id:\s*(\d+)/m.exec(info)?.[1] ?? []).map(Number))]
}

function isThere(program: number): boolean {
  try {
    using _program = BpfProgram.byId(program)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

suite('an observer', () => {
  test('follows a probe until it is let go, and no probe twice', async () => {
    using world = new TraceWorld()
    using observer = await world.observe()
    const probe = { protocol: 'icmp', cookie: Uint8Array.fromHex('d1d2d3d4d5d6d7d8') } as const
    const seen: Sighting[] = []
    const wish: Trace = { protocol: 'icmp', family: 4, cookie: 'd1d2d3d4d5d6d7d8' }
    {
      using _followed = observer.follow(probe, (each) => seen.push(each))
      assert.throws(() => observer.follow(probe, () => {}), /followed already/)
      await world.send(wish)
      await world.settle(300)
    }
    const count = seen.length
    assert.ok(count > 30)
    await world.send(wish)
    assert.equal(seen.length, count)
    assert.ok((await traced(world, observer, wish)).length > 30)
  })

  test('tells a thousand sightings of a probe, and how many more there were', async () => {
    using world = new TraceWorld()
    using observer = await world.observe()
    const seen: Sighting[] = []
    const cookie = Uint8Array.fromHex('0102030405060708')
    using followed = observer.follow({ protocol: 'icmp', cookie }, (each) => seen.push(each))
    await world.leftPod.shAsync(
      `ping -q -s 8 -p 0102030405060708 -i 0.002 -c 40 ${addrOf('pod', 'right', 4)} >/dev/null`,
    )
    for (let waited = 0; seen.length < 1000 && waited < 50; waited++) await world.settle()
    assert.equal(seen.length, 1000)
    assert.ok(followed.lost >= 40 * 30 - 1000 && followed.lost < 600, String(followed.lost))
  })

  test('leaves nothing in the kernel, also when its process is killed', async () => {
    using world = new TraceWorld()
    const program = `import { Observer } from '#/kernel/trace/observer.ts'
      const observer = await Observer.open({ vxlanPort: 8472, namespaces: [${world.left.netns.inode}] })
      console.log('ready')
      setInterval(() => {}, 1000)`
    const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '-e', program]
    const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [first] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [Buffer | number]
    assert.equal(String(first), 'ready\n')
    const ids = programsOf(child.pid!)
    assert.equal(ids.length, 5)
    const left = (): number[] => ids.filter(isThere)
    assert.deepEqual(left(), ids)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await world.settle()
    assert.deepEqual(left(), [])
  })
})
