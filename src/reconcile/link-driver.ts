// Bridge and VXLAN device, and the veths of pods as ports of the bridge. Ownership: the names (model/names.ts).
import { bridgeAdd, bridgePortSet, type Link, linkDelete, linkSet, listLinks, vxlanAdd } from '#/kernel/links.ts'
import { type Netlink, type Operation } from '#/kernel/netlink.ts'
import { isOurLink, portPrefix } from '#/model/names.ts'
import { type DesiredLink, type DesiredNetwork, type DesiredPort } from '#/model/network.ts'
import { type Change, compareByKey, type Comparison, type Driver } from './driver.ts'

function isSameDevice(desired: DesiredLink, { vxlan }: Link): boolean {
  return desired.kind !== 'vxlan' || (vxlan?.external === true && vxlan.port === desired.port)
}

function isSame(desired: DesiredLink, actual: Link): boolean {
  const mtuFits = desired.kind === 'bridge' || actual.mtuBytes === desired.mtuBytes
  return isSameDevice(desired, actual) && mtuFits && actual.mac === desired.mac && actual.isUp
}

function add(desired: DesiredLink): Operation {
  return desired.kind === 'bridge'
    ? bridgeAdd(desired.name, desired.mac)
    : vxlanAdd(desired.name, desired.mac, desired.mtuBytes, desired.port)
}

function change(desired: DesiredLink, actual: Link): Operation[] {
  // what cannot be changed in a living device costs it its life; routes and neighbours follow in the same pass
  if (!isSameDevice(desired, actual)) return [linkDelete(desired.name), add(desired)]
  const mtu = desired.kind === 'vxlan' ? { mtuBytes: desired.mtuBytes } : {}
  return [linkSet(desired.name, { mac: desired.mac, ...mtu, isUp: true })]
}

/** Bridge and VXLAN device. */
export class LinkDriver implements Driver {
  readonly kind = 'link'
  readonly #netlink: Netlink

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  compare({ links }: DesiredNetwork): Comparison {
    const actual = listLinks(this.#netlink).filter(({ name }) => isOurLink(name) && !name.startsWith(portPrefix))
    const kinds = new Map(actual.map(({ name, kind }) => [name, kind]))
    return compareByKey({
      desired: new Map(links.map((link) => [link.name, link])),
      actual: new Map(actual.map((link) => [link.name, link])),
      same: (desired, link) => link.kind === desired.kind && isSame(desired, link),
      add: (desired) => [add(desired)],
      change,
      remove: ({ name }) => [linkDelete(name)],
      explain: (desired, error) =>
        desired.kind === 'vxlan' && error.code === 'EADDRINUSE'
          ? {
              message: `${error.message}: UDP port ${desired.port} is taken by another process or VXLAN device`,
              remedy: `find it with "ss -ulpn sport = :${desired.port}" and "ip -d link show type vxlan"; if nothing needs it, end it, else set CAUSEWAY_VXLAN_PORT to another port on all nodes, which reach each other only by the same one`,
            }
          : undefined,
      obstacle: ({ name, kind }) => {
        const found = kinds.get(name) ?? kind
        return found === kind
          ? undefined
          : {
              message: `a device ${name} of kind "${found || 'hardware'}" is there already and is not ours`,
              remedy: `rename it where it is configured, along with all that names it, or for now: ip link set dev ${name} name other0 (before Linux 6.2 only while it is down)`,
            }
      },
    })
  }
}

/** What the driver asks about pods, at the very moment: an ADD or DEL may have come since the plan was drawn. */
export type PodPorts = {
  readonly isInUse: (port: string) => boolean
  /** Makes the veth of a pod anew that somebody deleted; throws what keeps it from that. */
  readonly rewire: (port: string) => void
}

/** Pod veths. They are made by CNI ADD; here they are kept in the bridge, and those of no pod are removed. */
export class PortDriver implements Driver {
  readonly kind = 'port'
  readonly #netlink: Netlink
  readonly #pods: PodPorts

  constructor(netlink: Netlink, pods: PodPorts) {
    this.#netlink = netlink
    this.#pods = pods
  }

  compare({ ports }: DesiredNetwork): Comparison {
    const links = listLinks(this.#netlink)
    const actual = links.filter(({ name, kind }) => kind === 'veth' && isOurLink(name) && name.startsWith(portPrefix))
    const present = new Set(actual.map(({ name }) => name))
    const indexOf = new Map(links.map(({ name, index }) => [name, index]))
    const desired = ports.filter(({ name }) => this.#pods.isInUse(name))
    const set = ({ name, bridge, pod }: DesiredPort) =>
      bridgePortSet(name, pod, { name: bridge, index: indexOf.get(bridge) ?? 0 })
    const lost = desired.filter(({ name }) => !present.has(name))
    const comparison = compareByKey({
      desired: new Map(desired.filter(({ name }) => present.has(name)).map((port) => [port.name, port])),
      actual: new Map(actual.map((link) => [link.name, link])),
      same: ({ bridge }, link) => link.isUp && link.hairpin === true && link.master === indexOf.get(bridge),
      add: set,
      remove: ({ name }) => [linkDelete(name)],
      obstacle: ({ bridge }) => (indexOf.has(bridge) ? undefined : { message: `bridge ${bridge} is missing` }),
    })
    const rewired = lost.map(({ name, pod }): Change => ({
      verb: 'add',
      key: name,
      commands: [`# make ${name}, the veth of pod ${pod}, anew`],
      work: { call: () => this.#pods.rewire(name) },
    }))
    return {
      ...comparison,
      keys: desired.map(({ name }) => name),
      changes: [...comparison.changes, ...rewired],
      leftovers: comparison.leftovers
        .filter(({ key }) => !this.#pods.isInUse(key))
        // an ADD may have made it a pod's between now and then
        .map((removal) => ({ ...removal, work: { call: () => this.#removeUnused(removal.key) } })),
    }
  }
  #removeUnused(port: string): void {
    if (!this.#pods.isInUse(port)) this.#netlink.execute(linkDelete(port))
  }
}
