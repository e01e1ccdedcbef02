// Asks other nodes' gateways whether they answer: one echo request to each, by the way that pods' packets take.
import { randomBytes } from 'node:crypto'
import { type Addr, families } from '#/lib/addr.ts'
import { equalBytes } from '#/lib/bytes.ts'
import { POLLIN } from '#/sys/fd-watcher.ts'
import { closeFd, SysError } from '#/sys/libc.ts'
import { untilReady } from '#/sys/readiness.ts'
import { icmpSocket, receiveFrom, sendTo } from '#/sys/socket.ts'
import { cookieBytes, encodeEchoRequest, icmpTypes, parseIcmp } from '#/wire/icmp/packet.ts'

/** The addresses, as text, that answered within `waitMs`. Needs CAP_NET_RAW. Throws SysError when no socket can be had. */
export async function answering(addrs: readonly Addr[], waitMs: number): Promise<ReadonlySet<string>> {
  const answered = new Set<string>()
  const used = families.filter((family) => addrs.some((addr) => addr.family === family))
  const asked = used.map(async (family) => {
    const fd = icmpSocket(family, icmpTypes(family))
    try {
      const cookie = randomBytes(cookieBytes)
      const all = addrs.filter((addr) => addr.family === family)
      for (const [seq, addr] of all.entries()) send(fd, encodeEchoRequest(family, { id: 0, seq, cookie }), addr)
      const buffer = new Uint8Array(2048)
      const deadlineMs = performance.now() + waitMs
      for (let open = all.length; open > 0 && (await untilReady(fd, POLLIN, deadlineMs));)
        for (let got = receiveFrom(fd, buffer); got !== undefined; got = receiveFrom(fd, buffer)) {
          const packet = parseIcmp(family, got.bytes)
          if (packet?.kind !== 'reply' || !equalBytes(packet.cookie, cookie)) continue
          answered.add(String(all[packet.seq]))
          open--
        }
    } finally {
      closeFd(fd)
    }
  })
  await Promise.all(asked)
  return answered
}

/** An address to which nothing can be sent does not answer. */
function send(fd: number, bytes: Uint8Array, addr: Addr): void {
  try {
    sendTo(fd, bytes, addr)
  } catch (error) {
    if (!(error instanceof SysError)) throw error
  }
}
