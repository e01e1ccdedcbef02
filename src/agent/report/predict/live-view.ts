// A namespace's kernel as a prediction sees it: asked at that moment, each time.
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { ownProgramIds, type Generation } from '#/datapath/programs.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { listAttached } from '#/kernel/bpf/attached.ts'
import { findFdb, listFdb } from '#/kernel/fdb.ts'
import { findFlows } from '#/kernel/flows.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { findNeighbour, neighbourUse } from '#/kernel/neighbours.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { listRules, lookUpWay } from '#/kernel/route-lookup.ts'
import { visitRoutesInTurns } from '#/kernel/routes.ts'
import { type Addr } from '#/lib/addr.ts'
import { routeProtocol } from '#/model/names.ts'
import { type BaseChain } from '#/obstacles/firewall/inspect.ts'
import {
  type Device,
  type FlowKey,
  type KernelView,
  type TrackedEnd,
  type ViewNeighbour,
} from '#/predict/kernel-view.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { type Netns } from '#/sys/netns.ts'
import { isWaitedFor } from '#/sys/port-owner.ts'
import { readSysctl } from '#/sys/sysctl.ts'
import { neighbourState } from '#/wire/netlink/neigh.ts'
import { addrKey } from '#/wire/netlink/flow.ts'
import { isRouteOf, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { LiveFirewalls } from './live-firewalls.ts'

/** Longer than the second after which the kernel asks again. */
const answerMs = 1200
const lookAgainMs = 20
/** A table of connections larger than this is not looked through for one probe. */
const mostFlows = 20_000

export class LiveView implements KernelView {
  readonly #stack = new DisposableStack()
  readonly #netlink: Netlink
  readonly #netns: Netns | undefined
  readonly #generation: () => Generation | undefined
  readonly #firewalls: LiveFirewalls
  #links: readonly Link[] | undefined

  private constructor(netlink: Netlink, netns: Netns | undefined, generation: () => Generation | undefined) {
    this.#netlink = netlink
    this.#netns = netns
    this.#generation = generation
    this.#firewalls = this.#stack.use(new LiveFirewalls(netns))
  }

  /** The namespace of the calling thread, in which `netlink` is too: it stays open. */
  static ofNode(netlink: Netlink, generation: () => Generation | undefined): LiveView {
    return new LiveView(netlink, undefined, generation)
  }

  /** Takes the namespace over, and closes it with itself. */
  static ofPod(netns: Netns): LiveView {
    const netlink = Netlink.brief(netns)
    const view = new LiveView(netlink, netns, () => undefined)
    view.#stack.use(netns)
    view.#stack.use(netlink)
    return view
  }

  #inside<T>(ask: () => T): T {
    return this.#netns ? this.#netns.run(ask) : ask()
  }

  get links(): readonly Link[] {
    return (this.#links ??= listLinks(this.#netlink))
  }

  addresses(): ReturnType<KernelView['addresses']> {
    return listAddresses(this.#netlink)
  }

  rules(): ReturnType<KernelView['rules']> {
    return listRules(this.#netlink)
  }

  lookUp(lookup: Parameters<KernelView['lookUp']>[0]): ReturnType<KernelView['lookUp']> {
    return lookUpWay(this.#netlink, lookup)
  }

  async droppingRoutes(): Promise<readonly Route[]> {
    const dropping: Route[] = []
    await visitRoutesInTurns(
      this.#netlink,
      (route) => {
        if (route.type !== 'unicast' && route.type !== 'local') dropping.push(route)
      },
      (payload) => isRouteOf(payload, routeProtocol, RT_TABLE_MAIN),
    )
    return dropping
  }

  /**
   * Where the kernel has no MAC, it is told to ask, as it does for any packet, and gets the time for an answer: without that nobody knows whether the
   * neighbour is there, and an entry that failed stays so until there is a packet again, though it may have come back.
   */
  async neighbour(device: Device, addr: Addr, patienceMs = answerMs): Promise<ViewNeighbour | undefined> {
    let found = this.neighbourNow(device, addr)
    if (!lacksMac(found)) return found
    this.#netlink.executeAll([{ ...neighbourUse(device, addr), mayFail: true }])
    for (let waitedMs = 0; lacksMac(found) && waitedMs < patienceMs; waitedMs += lookAgainMs) {
      await sleep(lookAgainMs)
      found = this.neighbourNow(device, addr)
    }
    return found
  }

  neighbourNow(device: Device, addr: Addr): ViewNeighbour | undefined {
    const found = findNeighbour(this.#netlink, device, addr)
    return found && { state: neighbourState(found.state), ...(found.mac !== undefined && { mac: found.mac }) }
  }

  async tunnelEnds({ index }: Device, mac: string): Promise<readonly Addr[]> {
    return (await listFdb(this.#netlink)).flatMap((each) =>
      each.index === index && each.mac === mac && each.dst ? [each.dst] : [],
    )
  }

  fdb(bridge: Device, mac: string): ReturnType<KernelView['fdb']> {
    return findFdb(this.#netlink, bridge, mac)
  }

  sysctl(path: string): string | undefined {
    return this.#inside(() => readSysctl(path))
  }

  async chains(): Promise<readonly BaseChain[]> {
    return this.#firewalls.chains
  }

  tables(): ReturnType<KernelView['tables']> {
    return this.#firewalls.tables
  }

  isWaitedFor(protocol: 'tcp' | 'udp', port: number, addr: Addr): boolean {
    return this.#inside(() => isWaitedFor(protocol, port, hexAddrs(addr)))
  }

  programsOfOthers(device: Device, hook: 'ingress' | 'egress'): readonly string[] {
    const own = new Set(ownProgramIds(this.#generation()))
    return listAttached(this.#netlink, device, hook).flatMap(({ name, programId, filter }) =>
      filter?.isOurs === true || (programId !== undefined && own.has(programId))
        ? []
        : [name || `program ${programId}`],
    )
  }

  async trackedEnd({ src, ipProtocol, sourcePort }: FlowKey): Promise<TrackedEnd | undefined> {
    if (Number(this.sysctl('net/netfilter/nf_conntrack_count') ?? 0) > mostFlows) return undefined
    using netlink = new Netlink(NETLINK_NETFILTER, this.#netns)
    const key = addrKey(src.toBytes())
    const flows = await findFlows(netlink, (from) => from === key)
    const flow = flows.find(
      ({ protocol, srcPort, answered }) =>
        protocol === ipProtocol && srcPort === sourcePort && answered.addr.equals(src),
    )
    return flow && { addr: flow.dst, ...(flow.dstPort !== undefined && { port: flow.dstPort }) }
  }

  async pause(): Promise<void> {
    await setImmediate()
  }

  [Symbol.dispose](): void {
    this.#stack.dispose()
  }
}

const lacksMac = (found: ViewNeighbour | undefined): boolean =>
  found === undefined || ['none', 'incomplete', 'failed'].includes(found.state)

/** An address as /proc/net/tcp has it, for sockets of its family, and of IPv6 for an IPv4 address: words of the machine's byte order. */
function hexAddrs(addr: Addr): string[] {
  const own = hexOf(addr.toBytes())
  return addr.family === 4 ? [own, hexOf(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)) + own] : [own]
}

function hexOf(bytes: Uint8Array): string {
  let hex = ''
  for (let at = 0; at < bytes.length; at += 4)
    hex += bytes
      .slice(at, at + 4)
      .toReversed()
      .toHex()
  return hex.toUpperCase()
}
