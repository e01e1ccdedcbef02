// Whatever rules, routes and addresses a namespace has: what is looked up in the facts of it is what its kernel answers.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cuts } from '#/agent/report/facts/limits.ts'
import { readNamespace } from '#/agent/report/facts/namespace.ts'
import { stateOf } from '#/facts/namespace-state.ts'
import { wayOf } from '#/facts/way.ts'
import { listLinks } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { lookUpWay } from '#/kernel/route-lookup.ts'
import { Addr } from '#/lib/addr.ts'
import { type NextHop } from '#/wire/netlink/route.ts'
import { type WayAnswer, type WayLookup } from '#/wire/netlink/route-lookup.ts'
import { TestNetns } from './namespace.ts'

const [worlds, packetsEach] = [12, 700]

/** The same numbers for the same seed (mulberry32). */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }

  is(chance: number): boolean {
    return this.below(100) < chance
  }

  of<T>(choice: readonly T[]): T {
    return choice[this.below(choice.length)]!
  }
}

const devices = ['d0', 'd1', 'd2', 'd3'] as const
type Family = 4 | 6

/** Few bits vary, so that prefixes meet. */
function addr(dice: Dice, family: Family): string {
  const [a, b, c] = [dice.below(4), dice.below(4), dice.of([0, 1, 2, 3, 127, 128, 254])]
  return family === 4 ? `10.${a}.${b}.${c}` : `fd00:${a}:${b}::${c.toString(16)}`
}

function prefix(dice: Dice, family: Family): string {
  if (dice.is(4)) return 'default'
  const length = dice.of(family === 4 ? [8, 14, 16, 22, 24, 25, 31, 32] : [16, 30, 32, 46, 48, 64, 120, 128])
  const whole = Addr.parse(addr(dice, family))
  const host = BigInt(whole.bits - length)
  return `${new Addr(family, (whole.value >> host) << host)}/${length}`
}

/** Lines of `ip -batch`, some of which the kernel refuses. */
function world(dice: Dice): Record<Family, string[]> {
  const lines: Record<Family, string[]> = { 4: [], 6: [] }
  const gateway = (family: Family, device: string): string =>
    family === 4 ? `172.16.${device.slice(1)}.${2 + dice.below(3)}` : `fd99:${device.slice(1)}::${2 + dice.below(3)}`
  for (const family of [4, 6] as const) {
    const add = (text: string): number => lines[family].push(text)
    for (let n = 0; n < 3; n++)
      add(
        `address add ${addr(dice, family)}/${family === 4 ? dice.of([24, 32, 30]) : dice.of([64, 128])} dev ${dice.of(devices)}${family === 6 ? ' nodad' : ''}`,
      )
    for (let n = 0; n < 40; n++) {
      const type = dice.is(80)
        ? 'unicast'
        : dice.of(['blackhole', 'unreachable', 'prohibit', 'throw', ...(family === 4 ? ['local'] : [])])
      const table = dice.is(60) && type !== 'local' ? 'main' : dice.of(['100', '101', '102', '253'])
      const tail = `table ${table}${dice.is(40) ? ` metric ${dice.of([1, 5, 100])}` : ''}${dice.is(15) ? ' mtu 1300' : ''}`
      const tos = family === 4 && dice.is(6) ? ' tos 8' : ''
      const hop = (): string => {
        const device = dice.of(devices)
        return dice.is(60) ? `via ${gateway(family, device)} dev ${device}` : `dev ${device}`
      }
      if (type !== 'unicast')
        add(`route add ${type} ${prefix(dice, family)}${type === 'local' ? ' dev lo' : ''} ${tail}`)
      else if (dice.is(15)) add(`route add ${prefix(dice, family)} ${tail} nexthop ${hop()} nexthop ${hop()}`)
      else add(`route add ${prefix(dice, family)}${tos} ${hop()} ${tail}`)
    }
    for (let n = dice.below(8); n > 0; n--) {
      const wish = [
        dice.is(15) && 'not',
        dice.is(45) && `from ${prefix(dice, family).replace('default', 'all')}`,
        dice.is(35) && `to ${prefix(dice, family).replace('default', 'all')}`,
        dice.is(20) && `iif ${dice.of([...devices, 'lo', 'none9'])}`,
        dice.is(8) && `oif ${dice.of(devices)}`,
        dice.is(10) && `fwmark ${dice.of(['0x1', '0x0/0xff', '0x10/0xf0'])}`,
        dice.is(20) && `ipproto ${dice.of(['tcp', 'udp'])}`,
        dice.is(12) && `dport ${dice.of(['80', '1-100'])}`,
        dice.is(8) && `sport ${dice.of(['5', '1000-2000'])}`,
      ]
      const priority = 10 + dice.below(200)
      const action = dice.is(70)
        ? `lookup ${dice.of(['main', '100', '101', '102', '150'])}${dice.is(20) ? ` suppress_prefixlength ${dice.of([0, 8, 16])}` : ''}`
        : dice.of([
            'blackhole',
            'prohibit',
            'unreachable',
            'nop',
            `goto ${priority + 1 + dice.below(100)}`,
            'goto 32766',
          ])
      add(`rule add ${wish.filter(Boolean).join(' ') || 'from all'} pref ${priority} ${action}`)
    }
  }
  return lines
}

function packet(
  dice: Dice,
  ns: { readonly links: ReadonlyMap<string, number>; readonly own: readonly Addr[] },
): WayLookup {
  const family = dice.of([4, 6] as const)
  const any = (): Addr => Addr.parse(addr(dice, family))
  const own = ns.own.filter((each) => each.family === family)
  const isComing = dice.is(50)
  const device = dice.of(devices)
  const src = dice.is(25) && own.length > 0 ? dice.of(own) : any()
  const hasSource = isComing || dice.is(60)
  const hasPorts = dice.is(60)
  const oif = ns.links.get(dice.of(devices))
  return {
    dst: dice.is(8) && own.length > 0 ? dice.of(own) : any(),
    ...(hasSource && { src }),
    ...(isComing && { iif: { index: ns.links.get(device)!, name: device } }),
    ...(!isComing && family === 4 && dice.is(10) && oif !== undefined && { oif }),
    ...(hasPorts && {
      ipProtocol: dice.of([6, 17]),
      sourcePort: dice.of([5, 1500, 9]),
      destinationPort: dice.of([80, 90, 443]),
    }),
  }
}

const hopText = ({ oif, gateway }: NextHop): string => `${gateway?.toString() ?? '-'} ${oif}`

/** What a packet does. Of several equal ways the kernel takes one by a hash. */
function told(answer: WayAnswer, others: readonly NextHop[] = []): string {
  // of rp_filter, up to Linux 6.12
  if (answer.kind === 'refused') return answer.code === 'EXDEV' ? 'EINVAL' : answer.code
  const { route, chosen } = answer
  const isOne = (hops: readonly NextHop[] = []): string => {
    const [hop] = hops
    if (hop === undefined) return ''
    const among = others.map(hopText)
    return among.length > 1 && among.includes(hopText(hop)) ? among.toSorted().join(', ') : hopText(hop)
  }
  const table = route?.type === 'local' ? 'local' : route?.table
  const matched = route && `${route.type} ${route.dst} table ${table} metric ${route.metric} mtu ${route.mtuBytes}`
  return `${matched} → ${chosen?.type} ${chosen?.type === 'unicast' ? isOne(chosen.nextHops) : ''}`
}

test('random rules, routes and packets of both families: the facts lead where the kernel leads', async () => {
  const begin = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  const kinds = new Map<string, number>()
  for (let seed = begin; seed < begin + worlds; seed++) {
    const dice = new Dice(seed)
    using ns = new TestNetns()
    ns.sh(`ip link set lo up; for n in 0 1 2 3; do ip link add d$n type veth peer name p$n; ip link set d$n up; ip link set p$n up; ip addr add 172.16.$n.1/24 dev d$n; ip addr add fd99:$n::1/64 dev d$n nodad; done
      sysctl -qw net.ipv4.ip_forward=${dice.is(80) ? 1 : 0} net.ipv6.conf.all.forwarding=1 net.ipv4.conf.d0.rp_filter=${dice.below(3)} net.ipv4.conf.d1.rp_filter=${dice.below(3)} net.ipv4.conf.d2.accept_local=${dice.below(2)}`)
    const lines = world(dice)
    for (const family of [4, 6] as const)
      ns.netns.run(() => spawnSync('ip', [`-${family}`, '-force', '-batch', '-'], { input: lines[family].join('\n') }))
    // the kernel makes the local routes of IPv6 a moment after the addresses
    await sleep(150)
    using netlink = new Netlink(0, ns.netns)
    const facts = await readNamespace({ netlink, inside: (read) => ns.netns.run(read) }, new Cuts(''))
    const state = stateOf(facts)
    const links = new Map(listLinks(netlink).map(({ name, index }) => [name, index]))
    const own = state.addresses.map(({ addr: each }) => each).filter((each) => !each.isLinkLocal && !each.isLoopback)
    for (let n = 0; n < packetsEach; n++) {
      const lookup = packet(dice, { links, own })
      const kernel = lookUpWay(netlink, lookup)
      const facing = wayOf(lookup, state)
      const hops = kernel.kind === 'way' ? (kernel.route?.nextHops ?? []) : []
      const [expected, found] = [told(kernel, hops), told(facing, hops)]
      kinds.set(expected.split(' ')[0]!, (kinds.get(expected.split(' ')[0]!) ?? 0) + 1)
      // the source is looked up by the device that the kernel has chosen
      const several = [facing, kernel].some((each) => each.kind === 'way' && (each.route?.nextHops.length ?? 0) > 1)
      const isByChance = several && [expected, found].includes('EINVAL')
      if (found !== expected && !isByChance) {
        const words = JSON.stringify({ ...lookup, iif: lookup.iif?.name })
        const sh = ns.sh(
          `ip -${lookup.dst.family} rule; ip -${lookup.dst.family} route show table all | grep -v "^ff00\\|fe80" | head -60; sysctl -a 2>/dev/null | grep -E "d[0-3].(rp_filter|accept_local|forwarding)"`,
        )
        assert.equal(
          found,
          expected,
          `SEED=${seed}, packet ${n}: ${words}\nfacts:  ${found}\nkernel: ${expected}\n${sh}`,
        )
      }
    }
  }
  // nothing of it came to nothing
  for (const kind of ['unicast', 'local', 'ENETUNREACH', 'EINVAL', 'EACCES', 'EHOSTUNREACH'])
    assert.ok((kinds.get(kind) ?? 0) > 0, `${kind}: ${JSON.stringify([...kinds])}`)
})
