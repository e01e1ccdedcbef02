// Finds the pods of this node in the kernel. Whoever has made their network tells nobody where it is: a pod's namespace is the one that has an
// interface with the pod's address, the other end of which is on this node.
import { readdirSync } from 'node:fs'
import { listAddresses } from '#/kernel/addresses.ts'
import { type Link, listLinks, numberOfNetns } from '#/kernel/links.ts'
import { KernelError, Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { errorCode } from '#/lib/error-code.ts'
import { type PolicyPod } from '#/policy/cluster.ts'
import { podText } from '#/policy/words.ts'
import { type PredictPod } from '#/predict/context.ts'
import { SysError } from '#/sys/libc.ts'
import { isAnother, namespaceAt } from '#/sys/namespaces.ts'
import { Netns, netnsFolder } from '#/sys/netns.ts'
import { type TracedPod } from '../report/trace-send.ts'

export type FoundPod = PredictPod & TracedPod & { readonly uid: string }

/** An interface of a namespace, and what it says of its other end. */
type Interface = {
  readonly name: string
  readonly index: number
  readonly peerIndex: number
  readonly addrs: readonly string[]
}
type Namespace = { readonly path: string; readonly id: string; readonly interfaces: readonly Interface[] }

export type FoundPodsDeps = {
  readonly netlink: Netlink
  /** Those of this node that the API has, and that have a network of their own and addresses. */
  readonly pods: () => readonly PolicyPod[]
  readonly podCIDRs: () => readonly Prefix[]
  readonly nowMs: () => number
  readonly folder?: string
}

/** Pods do not come more often than that; who asks does so several times for one answer. */
const freshMs = 500

function interfacesIn(netns: Netns): Interface[] {
  using netlink = Netlink.brief(netns)
  // a device that is up has one of its own before the plugin gives it the pod's
  const given = listAddresses(netlink).filter(({ addr }) => !addr.isLinkLocal)
  const addrs = Map.groupBy(given, ({ index }) => index)
  return listLinks(netlink).flatMap(({ index, name, kind, peerIndex }) =>
    kind === 'veth' && peerIndex !== undefined
      ? [{ name, index, peerIndex, addrs: (addrs.get(index) ?? []).map(({ addr }) => String(addr)) }]
      : [],
  )
}

export class FoundPods {
  readonly #deps: FoundPodsDeps
  /** By the identity of the namespace: what is in one hardly changes once its pod has an address. */
  readonly #known = new Map<string, Namespace>()
  #pods: readonly FoundPod[] = []
  #missing: readonly PolicyPod[] = []
  #readMs: number | undefined

  constructor(deps: FoundPodsDeps) {
    this.#deps = deps
  }

  get pods(): readonly FoundPod[] {
    this.#update()
    return this.#pods
  }

  /** Pods of which no namespace is found. */
  get missing(): readonly PolicyPod[] {
    this.#update()
    return this.#missing
  }

  /** Opens a pod's namespace; undefined when it is gone. */
  netnsOf({ netns, netnsId }: Pick<FoundPod, 'netns' | 'netnsId'>): Netns | undefined {
    const found = namespaceAt(netns)
    return found.kind === 'there' && !isAnother(found.id, netnsId) ? new Netns(found.path) : undefined
  }

  #update(): void {
    const { nowMs, netlink, pods } = this.#deps
    const now = nowMs()
    if (this.#readMs !== undefined && now - this.#readMs < freshMs) return
    this.#readMs = now
    this.#look()
    const links = new Map(listLinks(netlink).map((link) => [link.index, link]))
    const wanted = pods()
    const found = wanted.map((pod) => this.#found(pod, links))
    this.#pods = found.filter((each) => each !== undefined)
    this.#missing = wanted.filter((_, index) => found[index] === undefined)
  }

  /** Looks into namespaces that have come, and forgets those that are gone. One without addresses yet is looked into again. */
  #look(): void {
    const seen = new Set<string>()
    for (const path of this.#paths()) {
      const state = namespaceAt(path)
      if (state.kind !== 'there') continue
      seen.add(state.id)
      if (this.#known.get(state.id)?.interfaces.some(({ addrs }) => addrs.length > 0)) continue
      const interfaces = this.#interfacesAt(path)
      if (interfaces) this.#known.set(state.id, { path, id: state.id, interfaces })
    }
    for (const id of this.#known.keys()) if (!seen.has(id)) this.#known.delete(id)
  }

  #paths(): string[] {
    const { folder = netnsFolder } = this.#deps
    try {
      return readdirSync(folder).map((name) => `${folder}/${name}`)
    } catch {
      return []
    }
  }

  #interfacesAt(path: string): Interface[] | undefined {
    try {
      using netns = new Netns(path)
      return interfacesIn(netns)
    } catch (error) {
      // it has ended meanwhile
      if (error instanceof SysError || error instanceof KernelError || errorCode(error) !== undefined) return undefined
      throw error
    }
  }

  /** Whether the namespace is that of the device's other end: on another node addresses and indices may all be the same. */
  #isOtherEnd(path: string, { peerNetns }: Link): boolean {
    try {
      using netns = new Netns(path)
      return peerNetns !== undefined && numberOfNetns(this.#deps.netlink, netns.fd) === peerNetns
    } catch (error) {
      if (error instanceof KernelError || errorCode(error) !== undefined) return false
      throw error
    }
  }

  #found(pod: PolicyPod, links: ReadonlyMap<number, Link>): FoundPod | undefined {
    const { addrs, uid } = pod
    for (const { path, id, interfaces } of this.#known.values())
      for (const { name, index, peerIndex, addrs: has } of interfaces) {
        const host = links.get(peerIndex)
        // both ends name each other: an index alone may be that of another namespace's device
        if (host?.kind !== 'veth' || host.peerIndex !== index) continue
        if (!addrs.some((addr) => has.includes(String(addr)))) continue
        if (!this.#isOtherEnd(path, host)) continue
        return {
          pod: podText(pod),
          uid,
          addrs: addrs.map((addr) => ({
            addr,
            cidr: this.#deps.podCIDRs().find((cidr) => cidr.contains(addr)) ?? Prefix.host(addr),
          })),
          netns: path,
          netnsId: id,
          hostDevice: host.name,
          ifName: name,
          datapath: 'bridge',
        }
      }
    return undefined
  }
}
