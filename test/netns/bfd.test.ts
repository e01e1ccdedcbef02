// BFD sessions of two of ours over the kernel: what is on the wire, and how soon a cut is seen.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Host, Lan } from '../interop/bgp/lan.ts'
import { type BfdHistory, BfdThread } from './bfd-thread.ts'

/** A silence of two seconds is one of the network and not of a busy machine. */
const settings = { intervalMs: 100, detectMultiplier: 20 }
const detectionMs = settings.intervalMs * settings.detectMultiplier
const patience = { timeout: 180_000 }

/** What a packet must be like (RFC 5881); everything else to the port is dropped. */
function takeOnlyGoodPackets(host: Host): void {
  host.ns.sh(`nft add table inet t
    nft 'add chain inet t in { type filter hook input priority 0; }'
    nft add rule inet t in udp dport 3784 udp sport 49152-65535 ip ttl 255 ip dscp cs6 accept
    nft add rule inet t in udp dport 3784 udp sport 49152-65535 ip6 hoplimit 255 ip6 dscp cs6 accept
    nft add rule inet t in udp dport 3784 drop`)
}

type Pair = { readonly left: BfdHistory; readonly right: BfdHistory; readonly leftId: string }

function pair(left: BfdThread, right: BfdThread, a: Host, b: Host, kind: 'addr4' | 'addr6' | 'linkLocal'): Pair {
  const device = kind === 'linkLocal' ? { device: 'eth0' } : {}
  const one = left.watch({ addr: b[kind], localAddr: a[kind], ...device }, settings)
  const other = right.watch({ addr: a[kind], ...device }, settings)
  return { left: one.history, right: other.history, leftId: one.id }
}

const reach = async (pairs: readonly Pair[], state: 'Up' | 'Down'): Promise<void> => {
  for (const { left, right } of pairs) for (const side of [left, right]) await side.reaches(state)
}

test('sessions of both families and of link-local addresses come up, see a cut, and recover', patience, async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  for (const host of [a, b]) takeOnlyGoodPackets(host)
  // the same link-local neighbour at the end of another device is another one
  const cable = lan.cable(a, b)
  await using left = new BfdThread(a.ns.path)
  await using right = new BfdThread(b.ns.path)
  const pairs = (['addr4', 'addr6', 'linkLocal'] as const).map((kind) => pair(left, right, a, b, kind))
  const onCable = {
    left: left.watch({ addr: b.linkLocal, device: cable }, settings).history,
    right: right.watch({ addr: a.linkLocal, device: cable }, settings).history,
  }
  await reach(pairs, 'Up')
  for (const each of [onCable.left, onCable.right]) await each.reaches('Up')

  // from here on packets come at the quick interval, and a cut is seen when so many of them are missing
  await sleep(500)
  const cutMs = Date.now()
  lan.plug(b, 'down')
  await reach(pairs, 'Down')
  for (const { left: one, right: other } of pairs)
    for (const { changes } of [one, other]) {
      const { atMs, diagnostic } = changes.at(-1)!
      assert.equal(diagnostic, 1)
      assert.ok(atMs - cutMs < 5 * detectionMs, `noticed after ${atMs - cutMs} ms`)
    }
  for (const each of [onCable.left, onCable.right]) assert.equal(each.state, 'Up')

  lan.plug(b, 'up')
  await reach(pairs, 'Up')
})

test('packets from beyond the link are not heard', patience, async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  b.ns.sh(`nft add table inet t
    nft 'add chain inet t out { type filter hook output priority 0; }'
    nft add rule inet t out udp dport 3784 meta nfproto ipv4 ip ttl set 254
    nft add rule inet t out udp dport 3784 meta nfproto ipv6 ip6 hoplimit set 254`)
  await using left = new BfdThread(a.ns.path)
  await using right = new BfdThread(b.ns.path)
  const pairs = (['addr4', 'addr6'] as const).map((kind) => pair(left, right, a, b, kind))
  // the other side hears us, and answers what we must not hear
  for (const each of pairs) await each.right.reaches('Init')
  await sleep(1_500)
  for (const each of pairs) assert.equal(each.left.state, 'Down')
  b.ns.sh('nft delete table inet t')
  await reach(pairs, 'Up')
})

test('an event loop that is late takes nobody down who has sent in time', patience, async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  await using left = new BfdThread(a.ns.path)
  await using right = new BfdThread(b.ns.path)
  // the other side forgives us a long silence, we none
  const mine = left.watch({ addr: b.addr4 }, { ...settings, detectMultiplier: 200 }).history
  const others = right.watch({ addr: a.addr4 }, settings).history
  await mine.reaches('Up')
  await others.reaches('Up')
  await sleep(500)
  for (let round = 0; round < 3; round++) {
    left.stall(detectionMs + 500)
    await sleep(detectionMs + 1_000)
  }
  assert.deepEqual(
    [mine, others].map(({ changes }) => changes.filter(({ state }) => state === 'Down')),
    [[], []],
  )
  // and it is not deaf: a cut is still a cut
  lan.plug(b, 'down')
  await mine.reaches('Down', 5 * detectionMs)
})

test('who stops watching is no failure for the other side', patience, async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  await using left = new BfdThread(a.ns.path)
  await using right = new BfdThread(b.ns.path)
  const sessions = pair(left, right, a, b, 'addr6')
  await reach([sessions], 'Up')
  left.unwatch(sessions.leftId)
  await sessions.right.reaches('AdminDown')
  const again = left.watch({ addr: b.addr6, localAddr: a.addr6 }, settings)
  await again.history.reaches('Up')
  await sessions.right.reaches('Up')
  assert.ok(!sessions.right.changes.some(({ state }) => state === 'Down'))
})

test('addresses and devices that come late or come back are used', patience, async () => {
  using lan = new Lan()
  const [a, b] = [lan.host(), lan.host()]
  await using left = new BfdThread(a.ns.path)
  await using right = new BfdThread(b.ns.path)
  const late = {
    left: left.watch({ addr: b.addr4, localAddr: '10.0.0.50' }, settings).history,
    right: right.watch({ addr: '10.0.0.50' }, settings).history,
  }
  const unplugged = {
    left: left.watch({ addr: b.linkLocal, device: 'p2p1' }, settings).history,
    right: right.watch({ addr: a.linkLocal, device: 'p2p1' }, settings).history,
  }
  const both = async (state: 'Up' | 'Down', { left: one, right: other }: typeof late): Promise<void> => {
    await one.reaches(state)
    await other.reaches(state)
  }
  a.ns.sh('ip addr add 10.0.0.50/24 dev eth0')
  await both('Up', late)
  const cable = lan.cable(a, b)
  await both('Up', unplugged)
  a.ns.sh(`ip link del ${cable}`)
  await both('Down', unplugged)
  assert.equal(late.left.state, 'Up')
  // another device by the same name
  a.ns.sh(`ip link add ${cable} type veth peer name ${cable} netns ${b.ns.name}`)
  for (const { ns, linkLocal } of [a, b])
    ns.sh(`ip link set ${cable} addrgenmode none; ip addr add ${linkLocal}/64 dev ${cable} nodad
      ip link set ${cable} up`)
  await both('Up', unplugged)
})
