import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fdbStep, portStep } from './predict-bridge.ts'
import { frameFit, learnedMend, outerFit, overheadBytes, routeFit, sendingMtu } from './predict-mtu.ts'
import { neighbourStep } from './predict-neighbour.ts'
import { programStep, tunnelOwnerStep } from './predict-program.ts'
import { type RouteFacts, routeStep } from './predict-route.ts'
import { endText, serviceStep } from './predict-service.ts'
import { type PacketFacts, type PredictedStep } from './predict-steps.ts'

const told = (step: PredictedStep | undefined): string =>
  step === undefined ? '' : [step.isObstacle ? 'stops' : 'passes', step.code, step.text].filter(Boolean).join(' ')

const way: RouteFacts = {
  at: { device: 'cw-br0', next: 'eth0' },
  family: 4,
  command: 'ip route get fibmatch 10.0.0.1',
  answer: { kind: 'way', route: '10.0.0.0/8 dev eth0', isOurs: false },
}
const refused = (code: string): RouteFacts => ({ ...way, answer: { kind: 'refused', code, words: code } })
const incoming = { device: 'eth1', isOurs: false, forwarding: '1', rpFilter: 1, wayBack: 'eth0' }

test('a refusal is of the sysctl that makes the kernel refuse, else of what others have, else the kernel alone', () => {
  const obstacle = { code: 'CW1302', what: 'a blackhole', remedy: 'remove it' }
  assert.match(told(routeStep({ ...refused('EXDEV'), incoming })), /^stops CW1203 rp_filter of eth1/)
  // since 6.13, where a blackhole gives the same errno
  assert.match(told(routeStep({ ...refused('EINVAL'), incoming })), /^stops CW1203 .* leads over eth0$/)
  const straight = { ...incoming, wayBack: 'eth1' }
  assert.match(
    told(routeStep({ ...refused('EINVAL'), incoming: straight, obstacle })),
    /^stops CW1302 .*: a blackhole$/,
  )
  assert.match(told(routeStep({ ...refused('EINVAL'), incoming: straight })), /^stops the kernel has no way \(EINVAL\)/)
  const stopped = { ...incoming, forwarding: '0' }
  assert.match(told(routeStep({ ...refused('EHOSTUNREACH'), incoming: stopped })), /^stops CW1305 .*forwarding is 0/)
  assert.match(
    told(routeStep({ ...refused('EHOSTUNREACH'), incoming: { ...stopped, isNodeStopped: true } })),
    /^stops CW1305 net\.ipv4\.ip_forward is 0: the kernel forwards nothing$/,
  )
  assert.match(
    told(routeStep({ ...refused('EHOSTUNREACH'), incoming: { ...stopped, isOurs: true } })),
    /^stops CW2002 /,
  )
  assert.match(
    told(routeStep(refused('ENETUNREACH'))),
    /^stops the kernel has no way \(ENETUNREACH\): no route matches/,
  )
})

test('a route that leads elsewhere than planned stops, any other passes, with what is ours and the rule that led there', () => {
  assert.equal(told(routeStep(way)), 'passes route 10.0.0.0/8 dev eth0')
  const answer = { kind: 'way', route: 'default dev eth0', isOurs: true, rule: '9: from all lookup 7' } as const
  assert.equal(
    told(routeStep({ ...way, answer })),
    "passes route default dev eth0, Causeway's, by rule 9: from all lookup 7",
  )
  const obstacle = { code: 'CW1301', what: 'rule 9', remedy: 'x' }
  assert.equal(told(routeStep({ ...way, obstacle })), 'stops CW1301 rule 9 leads it elsewhere than planned')
})

test('of equal ways it is told which one the packet takes', () => {
  const hops = [
    { device: 'eth0', gateway: '10.0.0.1', isChosen: false },
    { device: 'eth1', gateway: '10.0.1.1', isChosen: true },
  ]
  const ways = { hops, chosenBy: 'ports' } as const
  const step = routeStep({ ...way, answer: { kind: 'way', route: '10.0.0.0/8', isOurs: true, ways } })
  assert.equal(told(step), "passes route 10.0.0.0/8, of which this packet takes eth1 via 10.0.1.1, Causeway's")
  assert.deepEqual(step.ways, ways)
})

test('a lookup of IPv6 says nothing of forwarding, which the sysctl does', () => {
  const facts = { ...way, family: 6, incoming: { ...incoming, forwarding: '0' } } as const
  assert.match(told(routeStep(facts)), /^stops CW1305 net\.ipv6\.conf\.all\.forwarding is 0/)
  // to the node itself nothing is forwarded
  assert.match(told(routeStep({ ...facts, at: { device: 'eth1' } })), /^passes /)
})

test('a device without IPv6 stops all that comes by it, whatever the lookup says', () => {
  const facts = { ...way, family: 6, incoming: { device: 'cw-br0', isOurs: true, isIpv6Off: true } } as const
  assert.match(told(routeStep(facts)), /^stops CW2002 net\.ipv6\.conf\.cw-br0\.disable_ipv6 is 1/)
})

test('a neighbour stops when it is silent, or when the kernel sends to another MAC than it has', () => {
  const facts = { at: { device: 'eth0' }, addr: '10.0.0.1', who: 'the router', flush: 'ip neigh del' }
  assert.match(told(neighbourStep(facts)), /^passes .* asks for its MAC first/)
  for (const state of ['incomplete', 'failed']) assert.match(told(neighbourStep({ ...facts, state })), /^stops /)
  for (const state of ['reachable', 'stale', 'delay', 'probe', 'permanent', 'noarp'])
    assert.match(told(neighbourStep({ ...facts, state, mac: 'a' })), /^passes the router \(10\.0\.0\.1\) is at a/)
  assert.match(told(neighbourStep({ ...facts, state: 'stale', mac: 'a', expectedMac: 'b' })), /^stops .* MAC b/)
})

test('a packet stops at an MTU only if it is larger, and may not be cut up there', () => {
  const at = { device: 'eth0' }
  fc.assert(
    fc.property(
      fc.integer({ min: 68, max: 9000 }),
      fc.integer({ min: 68, max: 9000 }),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom<4 | 6>(4, 6),
      (sizeBytes, mtuBytes, mayFragment, isOwn, family) => {
        const step = routeFit({ sizeBytes, mayFragment, family }, { at, mtuBytes, of: 'the route' }, isOwn)
        // routers of IPv6 never cut up
        const isCut = mayFragment && (isOwn || family === 4)
        assert.equal(step.isObstacle, sizeBytes > mtuBytes && !isCut)
        assert.equal(frameFit(sizeBytes, { at, mtuBytes, of: 'x' })?.isObstacle === true, sizeBytes > mtuBytes + 4)
        const outer = outerFit(sizeBytes, family, { at, mtuBytes, of: 'x' })
        const isTooLarge = sizeBytes + overheadBytes[family] > mtuBytes
        assert.equal(outer.text.includes('fragments'), isTooLarge && family === 4)
        assert.equal(outer.isObstacle, isTooLarge && family === 6)
      },
    ),
  )
})

test("a bridge stops a frame at a port that is not as it should be, or that is not the receiver's", () => {
  const fine = { isUp: true, isBlocked: false, bridge: 'br' }
  const port = { name: 'v', pod: 'a/b' }
  assert.equal(portStep({ ...port, link: fine }, 'br'), undefined)
  assert.match(told(portStep(port, 'br')), /^stops CW3105 /)
  assert.match(told(portStep({ ...port, link: { ...fine, isUp: false } }, 'br')), /is down$/)
  assert.match(told(portStep({ ...port, link: { ...fine, bridge: 'x' } }, 'br')), /^stops CW2003 .* port of x/)
  assert.match(told(portStep({ ...port, link: { ...fine, isBlocked: true } }, 'br')), /holds back/)
  const entry = { bridge: 'br', mac: 'm', port: 'v' }
  assert.match(told(fdbStep(entry)), /^passes .* all of its ports/)
  assert.match(told(fdbStep({ ...entry, found: 'v' })), /^passes /)
  assert.match(told(fdbStep({ ...entry, found: 'w' })), /^stops br sends frames for m by w/)
})

test('a program drops what has a foreign address or MAC; what it does not know goes to the stack', () => {
  const facts = {
    device: 'v',
    pod: 'a/b',
    src: '10.0.0.1',
    protocol: 'tcp',
    isAttached: true,
    isPodKnown: true,
    portMac: 'm',
    podMac: 'm',
  } as const
  assert.match(told(programStep({ ...facts, laterWay: 'tunnel4' })), /^passes .* later ones are carried past it/)
  assert.match(told(programStep({ ...facts, protocol: 'icmp' })), /^passes .* all of ICMP/)
  assert.match(told(programStep({ ...facts, isAttached: false, isPodKnown: false })), /^passes no program/)
  assert.match(told(programStep({ ...facts, podMac: 'n' })), /^stops CW3231 .* from the MAC n/)
  assert.match(told(programStep({ ...facts, isPodKnown: false })), /^stops CW3231 /)
  const owner = { device: 'cw-vxlan', src: '10.1.0.1', outerSrc: '172.30.1.2' }
  assert.equal(tunnelOwnerStep(owner), undefined)
  assert.match(told(tunnelOwnerStep({ ...owner, owner: 'n2', end: 'n2' })), /^passes /)
  assert.match(told(tunnelOwnerStep({ ...owner, owner: 'n2', end: 'n3' })), /^stops CW3232 .* is of n2, and .* of n3/)
})

test('of many ends of a Service some are named', () => {
  const ends = Array.from({ length: 6 }, (_, at) => ({ addr: `10.0.0.${at}`, port: 80 }))
  const facts = { at: {}, dst: '10.96.0.1:80', by: 'ip nat x', ends, isTracked: false } as const
  assert.equal(
    serviceStep({ ...facts, chosen: ends[0]! }).text,
    '10.96.0.1:80 is translated into one of 6: 10.0.0.0:80, 10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80 and 2 more, by ip nat x; what follows is for 10.0.0.0:80',
  )
  assert.equal(endText({ addr: 'fd00::1', port: 80 }), '[fd00::1]:80')
})

test('less than the route has is what routers have told of the way', () => {
  const eth0 = { name: 'eth0', mtuBytes: 1500 }
  assert.equal(sendingMtu({}, eth0).of, 'device eth0')
  assert.equal(sendingMtu({ mtuBytes: 1430 }, eth0).of, 'the route')
  const learned = sendingMtu({ mtuBytes: 1330, isLearned: true }, eth0)
  const packet = { family: 6, sizeBytes: 1420, mayFragment: false } as PacketFacts
  const step = routeFit(packet, { at: {}, ...learned }, true, learnedMend(learned))
  assert.equal(
    told(step),
    'stops CW8101 1420 bytes are more than 1330, the MTU of the way, as the kernel was told and remembers: the kernel refuses to send it (EMSGSIZE)',
  )
  assert.deepEqual(learnedMend(sendingMtu({ mtuBytes: 1430 }, eth0)), {}) // the outer packet of a tunnel, where a router between nodes takes less
  const outer = outerFit(1420, 6, { at: {}, ...sendingMtu({ mtuBytes: 1400, isLearned: true }, eth0) })
  assert.match(told(outer), /^stops CW8101 1420 and 70 bytes of outer headers are more than 1400, the MTU of the way/)
})
