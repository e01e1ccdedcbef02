// Keeps UDP to host ports of pods going to the pod that has the port now. The kernel translates the packets of a flow as it did the first one,
// and a client that goes on sending from one port keeps its flow alive for ever: without this it would send to a pod that is gone, or to
// nobody. A connection of TCP or SCTP ends by itself with the pod.
import { families } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { connectionDelete, listConnections } from '#/kernel/conntrack.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type HostPort } from '#/model/network.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { type Connection } from '#/wire/netlink/conntrack.ts'

const IPPROTO_UDP = 17

export type HostPortFlowsDeps = {
  /** For synchronous requests. */
  readonly netlink: Netlink
  /** Opens a socket of NETLINK_NETFILTER. */
  readonly open?: () => Netlink
  readonly log: Logger
}

/** Whether the kernel sends a flow elsewhere than `ports` say: it began before they did, or with the pod that had the port before. */
export function isStale(
  { protocol, dst, dstPort, answeredBy }: Connection,
  ports: readonly HostPort[],
  former: readonly HostPort[],
): boolean {
  if (protocol !== IPPROTO_UDP) return false
  const isMeant = ({ port, hostAddr, to }: HostPort): boolean =>
    port === dstPort && to.family === dst.family && (hostAddr === undefined || hostAddr.equals(dst))
  const now = ports.find(isMeant)
  if (now) return !answeredBy.equals(now.to)
  return former.some((each) => isMeant(each) && answeredBy.equals(each.to))
}

export class HostPortFlows {
  readonly #deps: HostPortFlowsDeps
  #ports: readonly HostPort[] = []
  /** The ports of the last call that went through, as text; undefined before the first, when flows of an earlier agent may be there. */
  #key: string | undefined

  constructor(deps: HostPortFlowsDeps) {
    this.#deps = deps
  }

  /** To be called once the kernel translates `hostPorts`. Does nothing when those of UDP are as at the last call. Does not reject. */
  async settle(hostPorts: readonly HostPort[]): Promise<void> {
    const ports = hostPorts.filter(({ protocol }) => protocol === 'udp')
    const key = JSON.stringify(ports.map(({ port, hostAddr, to }) => [port, String(hostAddr), String(to)]))
    if (key === this.#key) return
    const former = this.#ports
    const { netlink, open = () => new Netlink(NETLINK_NETFILTER), log } = this.#deps
    try {
      const local = new Set(listAddresses(netlink).map(({ addr }) => String(addr)))
      using conntrack = open()
      for (const family of families) {
        const connections = await listConnections(conntrack, family)
        // a flow to somebody else's port of that number is none of our business
        const stale = connections.filter((each) => local.has(String(each.dst)) && isStale(each, ports, former))
        // one that is gone by now needs no deleting
        await conntrack.executeMany(stale.map(connectionDelete))
      }
      this.#ports = ports
      this.#key = key
    } catch (error) {
      log.warn('flows to host ports may go on to pods that had the ports before', { error: messageOf(error) })
    }
  }
}
