// A switch with routers on it: a namespace each, eth0 with an IPv4, an IPv6 and a link-local address that follow from its number.
// Routers may have cables between two of them besides.
import { TestNetns } from '../../netns/namespace.ts'

export type Host = {
  readonly number: number
  readonly ns: TestNetns
  readonly addr4: string
  readonly addr6: string
  /** The same on each of its devices. */
  readonly linkLocal: string
}

/** Addresses are there at once: no duplicate address detection, no address that the kernel makes up. */
function addDevice(host: Host, device: string, addrs: readonly string[]): void {
  host.ns.sh(`ip link set ${device} addrgenmode none
    ${addrs.map((addr) => `ip addr add ${addr} dev ${device} nodad`).join('\n')}
    ip addr add ${host.linkLocal}/64 dev ${device} nodad
    ip link set ${device} up`)
}

export class Lan implements Disposable {
  readonly #stack = new DisposableStack()
  readonly #switch: TestNetns
  #lastNumber = 0
  #cables = 0

  constructor() {
    this.#switch = this.#stack.use(new TestNetns())
    this.#switch.sh('ip link add br0 type bridge; ip link set br0 up')
  }

  /** Another host: 10.0.0.N, fd00::N, fe80::N. */
  host(): Host {
    const number = ++this.#lastNumber
    const ns = this.#stack.use(new TestNetns())
    const host = { number, ns, addr4: `10.0.0.${number}`, addr6: `fd00::${number}`, linkLocal: `fe80::${number}` }
    ns.sh('ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1')
    this.#switch.sh(`ip link add port${number} type veth peer name eth0 netns ${ns.name}
      ip link set port${number} master br0 up`)
    addDevice(host, 'eth0', [`${host.addr4}/24`, `${host.addr6}/64`])
    return host
  }

  /** A cable between two hosts, with link-local addresses only. Returns the name that the device has on either. */
  cable(a: Host, b: Host): string {
    const device = `p2p${++this.#cables}`
    a.ns.sh(`ip link add ${device} type veth peer name ${device} netns ${b.ns.name}`)
    for (const host of [a, b]) addDevice(host, device, [])
    return device
  }

  /** Takes a host's cable out of the switch, or puts it in. */
  plug(host: Host, state: 'up' | 'down'): void {
    this.#switch.sh(`ip link set port${host.number} ${state}`)
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]()
  }
}
