// Probes of a trace as they leave a namespace: what the kernel of the other end makes of them, and what is left of them.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { findFlows } from '#/kernel/flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { forgetPackets } from '#/kernel/trace/forget.ts'
import { ProbeSender, sendableBytes } from '#/kernel/trace/probe.ts'
import { Addr } from '#/lib/addr.ts'
import { SysError } from '#/sys/libc.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { trackedPackets } from '#/trace/tracked.ts'
import { encodeProbe, type ProbePacket } from '#/wire/probe/packet.ts'
import { TestNetns } from './namespace.ts'

const ends = {
  4: { src: Addr.parse('10.9.0.1'), dst: Addr.parse('10.9.0.2') },
  6: { src: Addr.parse('fd09::1'), dst: Addr.parse('fd09::2') },
} as const
const cookie = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])

suite('probes', () => {
  const made = new DisposableStack()
  const sender = made.use(new ProbeSender())
  const [near, far] = [made.use(new TestNetns()), made.use(new TestNetns())]
  after(() => made.dispose())
  before(() => {
    near.sh(`ip link add eth0 type veth peer name eth0 netns ${far.name}; ip link set lo up
      ip addr add 10.9.0.1/24 dev eth0; ip addr add fd09::1/64 dev eth0 nodad; ip link set eth0 up`)
    far.sh(`ip addr add 10.9.0.2/24 dev eth0; ip addr add fd09::2/64 dev eth0 nodad; ip link set eth0 up; ip link set lo up
      nft add table inet seen
      nft add chain inet seen in '{ type filter hook input priority 0; }'
      nft add rule inet seen in icmp type echo-request counter comment '"echo4"'
      nft add rule inet seen in icmpv6 type echo-request counter comment '"echo6"'
      nft add rule inet seen in tcp dport 7777 tcp flags syn counter comment '"syn"'
      nft add rule inet seen in tcp dport 7777 'tcp flags & rst == rst' counter comment '"rst"'
      nft add rule inet seen in icmp type destination-unreachable counter comment '"refusal4"'
      nft add rule inet seen in icmpv6 type destination-unreachable counter comment '"refusal6"'`)
  })
  const seen = (comment: string): number =>
    Number(new RegExp(`packets (\\d+) bytes \\d+ comment "${comment}"`).exec(far.sh('nft list table inet seen'))?.[1])
  const send = (packet: ProbePacket): number => sender.send(packet, { netns: near.netns, packetId: 7 })
  const refused = (packet: ProbePacket, code: string): void =>
    assert.throws(
      () => send(packet),
      (error: unknown) => error instanceof SysError && error.code === code,
      code,
    )

  for (const family of [4, 6] as const) {
    const both = { ...ends[family], isWhole: false } as const
    const echo = { ...both, protocol: 'icmp', id: 0x4321, seq: 1, cookie } as const

    test(`v${family}: the other end takes each of them for what it is`, async () => {
      const answered = (): string =>
        far.sh(`nstat -asz ${family === 4 ? 'IcmpOutEchoReps' : 'Icmp6OutEchoReplies'} | tail -n 1`)
      const earlier = answered()
      send(echo)
      await eventually(() => seen(`echo${family}`) === 1, 'the echo request')
      // one whose checksum is wrong would not be
      assert.notEqual(answered(), earlier)
      const server = far.netns.run(() =>
        spawn('python3', [
          '-c',
          `import socket
s = socket.socket(socket.AF_INET${family === 6 ? '6' : ''}, socket.SOCK_DGRAM)
s.bind(('${both.dst}', 7777))
data, who = s.recvfrom(100)
s.sendto(data, who)
print(data.hex(), flush=True)`,
        ]),
      )
      let told = ''
      server.stdout.on('data', (data: Buffer) => (told += String(data)))
      await eventually(() => far.sh('ss -uln').includes('7777'), 'a socket')
      send({ ...both, protocol: 'udp', sourcePort: 40_000, port: 7777, cookie })
      await eventually(() => told.trim() === '010203040506070800000000', 'the datagram')
      // the answer is taken, and not refused
      await sleep(50)
      assert.equal(seen(`refusal${family}`), 0)
    })

    test(`v${family}: nothing listens for long: a TCP probe is ended by the kernel, and a port is free again`, async () => {
      const [syns, resets] = [seen('syn'), seen('rst')]
      const listener = far.netns.run(() =>
        spawn('python3', [
          '-c',
          `import socket, time
s = socket.socket(socket.AF_INET${family === 6 ? '6' : ''})
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('${both.dst}', 7777)); s.listen(); s.settimeout(0.7)
try: s.accept(); print('accepted', flush=True)
except TimeoutError: print('none', flush=True)`,
        ]),
      )
      let told = ''
      listener.stdout.on('data', (data: Buffer) => (told += String(data)))
      await eventually(() => far.sh('ss -tln').includes('7777'), 'a listener')
      send({ ...both, protocol: 'tcp', sourcePort: 40_001, port: 7777, seq: 0x1234_5678 })
      await eventually(() => seen('syn') === syns + 1 && seen('rst') === resets + 1, 'a SYN and a RST')
      await eventually(() => told !== '', 'what became of it')
      assert.equal(told.trim(), 'none', 'no program has had a connection')
      refused({ ...both, protocol: 'tcp', sourcePort: 40_001, port: 7777, seq: 1 }, 'EADDRINUSE')
    })

    test(`v${family}: connection tracking forgets a probe, and no other flow of the same ends`, async () => {
      using netlink = new Netlink(NETLINK_NETFILTER, near.netns)
      near.sh(`nft add table inet tracking; nft add chain inet tracking out '{ type filter hook output priority 0; }'
        nft add rule inet tracking out ct state new counter`)
      // a reset ends the entry of a SYN at once
      const flows = async () =>
        (await findFlows(netlink, () => true)).filter(({ src, protocol }) => src.family === family && protocol !== 6)
      const probes: ProbePacket[] = [
        { ...both, protocol: 'udp', sourcePort: 40_010, port: 7778, cookie },
        { ...both, protocol: 'tcp', sourcePort: 40_011, port: 7778, seq: 5 },
        { ...echo, id: 0x5555 },
      ]
      const others: ProbePacket[] = [
        { ...both, protocol: 'udp', sourcePort: 40_012, port: 7778, cookie },
        { ...echo, id: 0x5556 },
      ]
      for (const packet of [...probes, ...others]) send(packet)
      assert.equal((await flows()).length, 4)
      const seenPackets = probes.map((packet) => ({
        bytes: encodeProbe(packet, 1).toHex(),
        startsAt: 'network' as const,
      }))
      forgetPackets(trackedPackets(seenPackets), near.netns)
      const left = await flows()
      assert.deepEqual(
        left.map(({ protocol }) => protocol).toSorted((a, b) => a - b),
        [family === 4 ? 1 : 17, family === 4 ? 17 : 58],
      )
      assert.equal(left.find(({ protocol }) => protocol === 17)?.srcPort, 40_012)
      near.sh('nft delete table inet tracking')
      forgetPackets(trackedPackets(seenPackets), near.netns)
    })

    test(`v${family}: what the kernel does not send it says why`, () => {
      refused({ ...echo, src: Addr.parse(family === 4 ? '10.9.0.77' : 'fd09::77') }, 'EADDRNOTAVAIL')
      refused({ ...echo, isWhole: true, sizeBytes: 1501 }, 'EMSGSIZE')
      send({ ...echo, isWhole: true, sizeBytes: 1500 })
      const dst = Addr.parse(family === 4 ? '10.10.0.1' : 'fd10::1')
      refused({ ...echo, dst }, 'ENETUNREACH')
      const command = `ip -${family} route`
      near.sh(`${command} add ${dst} dev eth0 mtu 1400`)
      assert.equal(sendableBytes(echo.src, dst, near.netns), 1400)
      refused({ ...echo, dst, isWhole: true, sizeBytes: 1401 }, 'EMSGSIZE')
      near.sh(`${command} del ${dst}; ${command} add blackhole ${dst}`)
      refused({ ...echo, dst }, 'EINVAL')
      near.sh(`${command} del ${dst}; ${command} add prohibit ${dst}`)
      refused({ ...echo, dst }, 'EACCES')
      near.sh(`${command} del ${dst}`)
      near.sh(
        `nft add table inet stop; nft add chain inet stop out '{ type filter hook output priority 0; policy drop; }'`,
      )
      refused(echo, 'EPERM')
      near.sh('nft delete table inet stop')
    })
  }
})
