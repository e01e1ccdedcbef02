import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Operation } from '#/kernel/netlink.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type PolicyPacket, type PolicyVerdict } from '#/policy/verdict.ts'
import { SysError } from '#/sys/libc.ts'
import { type SocketEnds } from '#/wire/netlink/sock-diag.ts'
import { Adopter } from './adopt.ts'

const server = Addr.parse('10.244.1.2')
const client = Addr.parse('10.244.2.2')
const ACK = 0x10
/** An answer of the server, which nobody may open a connection with. */
const answer = { src: server, sourcePort: 80, dst: client, port: 5000, protocol: 6, tcp: { flags: ACK } }

function scene() {
  const now = {
    isLevel: true,
    wasEnded: false,
    /** Whether the pod of this node with the address has the connection. */
    sockets: new Map<string, boolean>([[String(client), true]]),
    failure: undefined as Error | undefined,
    isDropped: ({ dst }: PolicyPacket): boolean => dst.equals(client),
  }
  const entered: string[] = []
  const adopter = new Adopter({
    evaluate: (packet) => ({ isDropped: now.isDropped(packet) }) as PolicyVerdict,
    isLevel: () => now.isLevel,
    hasConnection: ({ local }: SocketEnds) => {
      if (now.failure) throw now.failure
      return now.sockets.get(String(local))
    },
    ended: { mayHave: () => now.wasEnded },
    netlink: {
      execute: (...all: Operation[]) => void entered.push(...all.map(({ what }) => what)),
    },
    log: silent,
  })
  return { now, adopter, entered }
}

test('a connection whose answers alone are denied is entered as it was opened', () => {
  const { adopter, entered } = scene()
  assert.equal(adopter.adopt(answer), true)
  assert.equal(adopter.count, 1)
  assert.match(entered[0]!, /-s 10\.244\.2\.2 -d 10\.244\.1\.2 --sport 5000 --dport 80 /)
})

test('nothing is entered that could be forged, was ended, or is denied in both directions', () => {
  const { now, adopter, entered } = scene()
  const refuses = (why: string, packet: Parameters<Adopter['adopt']>[0] = answer): void =>
    assert.equal(adopter.adopt(packet), false, why)
  refuses('it opens a connection', { ...answer, tcp: { flags: 0x02 } })
  refuses('it ends one', { ...answer, tcp: { flags: 0x04 } })
  refuses('no TCP', { ...answer, protocol: 17 })
  now.sockets = new Map([
    [String(client), false],
    [String(server), true],
  ])
  refuses('the pod that opened it does not know it, whatever the other one says')
  // it can make itself a socket to anywhere
  now.sockets = new Map([[String(server), true]])
  refuses('the pod that is denied does not vouch for itself')
  now.sockets = new Map([[String(server), false]])
  refuses('neither end is known')
  now.sockets = new Map()
  refuses('no end is a pod of this node')
  now.sockets = new Map([[String(client), true]])
  now.failure = new SysError('open', 2)
  refuses('its pod is gone')
  now.failure = undefined
  now.wasEnded = true
  refuses('it was ended')
  now.wasEnded = false
  now.isLevel = false
  refuses('nobody knows what the rules say')
  now.isLevel = true
  now.isDropped = () => true
  refuses('denied in both directions')
  now.isDropped = () => false
  refuses('allowed by now')
  assert.deepEqual(entered, [])
})
