// Which packets in the middle of a connection have it taken up again: only those for which the pod that opened it vouches.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PolicyPacket, type PolicyVerdict } from '#/policy/verdict.ts'
import { type SocketEnds } from '#/wire/netlink/sock-diag.ts'
import { silent } from '#/lib/log.ts'
import { Adopter } from './adopt.ts'

const sender = Addr.parse('10.244.0.2')
const opener = Addr.parse('203.0.113.9')
const answer = { src: sender, dst: opener, protocol: 6, sourcePort: 4000, port: 4444, tcp: { flags: 0x18 } }

/** What `sender` sends is denied, and the opposite direction allowed. */
function evaluate({ src }: PolicyPacket): PolicyVerdict {
  const direction = { decision: { kind: 'default' }, isDenied: false, isAudited: false } as const
  return {
    egress: { ...direction, direction: 'egress' },
    ingress: { ...direction, direction: 'ingress' },
    isDropped: src.equals(sender),
  }
}

/** How many connections are entered when these addresses, of pods of this node, have a socket each. */
function enteredWith(local: readonly Addr[]): number {
  let entered = 0
  const adopter = new Adopter({
    evaluate,
    isLevel: () => true,
    hasConnection: (ends: SocketEnds) => (local.some((each) => each.equals(ends.local)) ? true : undefined),
    ended: { mayHave: () => false },
    netlink: { execute: () => void entered++ },
    log: silent,
  })
  adopter.adopt(answer)
  return entered
}

test('the pod that opened a connection vouches for it', () => {
  assert.equal(enteredWith([opener]), 1)
})

test('the pod that is denied does not vouch for itself: it can make itself a socket to anywhere', () => {
  assert.equal(enteredWith([sender]), 0)
})
