// Entries of connection tracking, made over netlink as `conntrack -I` does (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
import { Netlink } from '#/kernel/netlink.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { type Netns } from '#/sys/netns.ts'
import { IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW } from '#/wire/netlink/conntrack.ts'
import { addrOf, be16, be32, join, protocols } from './frames.ts'

const AF_INET = 2
const AF_INET6 = 10
const NLM_F_CREATE_EXCL = 0x600
const NLA_F_NESTED = 0x8000
const TCP_CONNTRACK_ESTABLISHED = 3

export const status = { seenReply: 2, assured: 4, confirmed: 8, open: 14 } as const

export type Tuple = { readonly src: string; readonly dst: string; readonly from: number; readonly to: number }

export type Entry = Tuple & {
  readonly protocol: number
  readonly status?: number
  /** How answers come; other than back the same way: translated, as IPVS does it, without a flag. */
  readonly reply?: Tuple
  /** As an nft or iptables rule translates. */
  readonly translatedTo?: string
  readonly timeoutS?: number
}

/** struct nlattr, with lengths and types in the byte order of the machine. */
function attr(type: number, ...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const payload = join(...parts)
  const length = 4 + payload.length
  return join([length & 0xff, length >> 8, type & 0xff, type >> 8], payload, new Uint8Array(-length & 3))
}

const nested = (type: number, ...parts: readonly Uint8Array[]): Uint8Array => attr(type | NLA_F_NESTED, ...parts)

function tuple(type: number, { src, dst, from, to }: Tuple, protocol: number): Uint8Array {
  const is4 = !src.includes(':')
  return nested(
    type,
    nested(1, attr(is4 ? 1 : 3, addrOf(src)), attr(is4 ? 2 : 4, addrOf(dst))),
    nested(2, attr(1, [protocol]), attr(2, be16(from)), attr(3, be16(to))),
  )
}

const headerOf = (entry: Tuple): number[] => [entry.src.includes(':') ? AF_INET6 : AF_INET, 0, 0, 0]

export class Connections implements Disposable {
  readonly #netlink: Netlink

  constructor(netns: Netns) {
    this.#netlink = new Netlink(NETLINK_NETFILTER, netns)
  }

  add(entry: Entry): void {
    const { src, dst, from, to, protocol, translatedTo } = entry
    const reply = entry.reply ?? { src: dst, dst: src, from: to, to: from }
    this.#netlink.execute({
      what: `conntrack -I ${src} ${dst}`,
      type: IPCTNL_MSG_CT_NEW,
      flags: NLM_F_CREATE_EXCL,
      payload: join(
        headerOf(entry),
        tuple(1, entry, protocol),
        tuple(2, reply, protocol),
        attr(3, be32(entry.status ?? status.open)),
        attr(7, be32(entry.timeoutS ?? 600)),
        protocol === protocols.tcp ? nested(4, nested(1, attr(1, [TCP_CONNTRACK_ESTABLISHED]))) : [],
        translatedTo === undefined
          ? []
          : nested(
              13,
              attr(src.includes(':') ? 4 : 1, addrOf(translatedTo)),
              attr(src.includes(':') ? 5 : 2, addrOf(translatedTo)),
            ),
      ),
    })
  }

  delete(entry: Entry): void {
    this.#netlink.execute({
      what: `conntrack -D ${entry.src} ${entry.dst}`,
      type: IPCTNL_MSG_CT_DELETE,
      payload: join(headerOf(entry), tuple(1, entry, entry.protocol)),
    })
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]()
  }
}
