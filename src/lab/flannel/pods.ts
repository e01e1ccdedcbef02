// The network of pods in a lab with flannel: what the plugins bridge and host-local make.
import { listAddresses } from '#/kernel/addresses.ts'
import { findLink } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Addr, Prefix } from '#/lib/addr.ts'
import { fnv1a } from '#/model/names.ts'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { type Sandbox, type SandboxNetwork } from '../sandboxes.ts'
import { LabError, nodeNetns } from '../spec.ts'
import { type FlannelPlan, podCommands } from './commands.ts'
import { runAll } from './run.ts'

/** The addresses of a CIDR that host-local gives out begin behind the gateway's. */
const firstHost = 2

/** The pod CIDRs of a node, as its bridge has them. */
function podCIDRsOn(netns: string): Prefix[] {
  using inside = new Netns(netnsPath(netns))
  using netlink = new Netlink(NETLINK_ROUTE, inside)
  const bridge = findLink(netlink, 'cni0')
  if (bridge === undefined) throw new LabError(`${netns} has no bridge cni0 yet`)
  return listAddresses(netlink)
    .filter(({ index, addr }) => index === bridge.index && !addr.isLinkLocal)
    .map(({ addr, prefixLength }) => new Prefix(addr, prefixLength))
}

function freeAddr(cidr: Prefix, taken: ReadonlySet<string>): Addr {
  for (let host = firstHost; ; host++) {
    const addr = cidr.at(host)
    if (!cidr.contains(addr)) throw new LabError(`no IP addresses available in ${cidr}`)
    if (!taken.has(String(addr))) return addr
  }
}

export class FlannelPods implements SandboxNetwork {
  readonly #lab: string
  readonly #plan: FlannelPlan
  readonly #others: () => readonly Sandbox[]
  /** What was given to pods that are not noted yet. */
  readonly #given = new Map<string, readonly string[]>()

  /** `others`: the pods that have addresses. */
  constructor(lab: string, plan: FlannelPlan, others: () => readonly Sandbox[]) {
    this.#lab = lab
    this.#plan = plan
    this.#others = others
  }

  async add(sandbox: Sandbox): Promise<readonly string[]> {
    const node = nodeNetns(this.#lab, sandbox.node)
    const podCIDRs = podCIDRsOn(node)
    const noted = this.#others().map(({ uid, addrs }) => [uid, addrs] as const)
    const held = new Map([...noted, ...this.#given])
    held.delete(sandbox.uid)
    const taken = new Set([...held.values()].flat())
    const addrs = podCIDRs.map((cidr) => freeAddr(cidr, taken))
    const hostDevice = `veth${fnv1a(sandbox.uid).toString(16).padStart(8, '0')}`
    const pod = { netns: sandbox.netns, hostDevice, addrs }
    runAll(node, podCommands(pod, { name: sandbox.node, addrs: [], podCIDRs }, this.#plan))
    const texts = addrs.map(String)
    this.#given.set(sandbox.uid, texts)
    return texts
  }

  /** The devices end with the pod's namespace, which is removed next. */
  async remove({ uid }: Sandbox): Promise<void> {
    this.#given.delete(uid)
  }
}
