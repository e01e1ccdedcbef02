// Causeway's own devices: the tunnel's device, and those that datapaths of pods need. Ownership: their names (model/names.ts).
import { bridgeAdd, type Link, linkDelete, linkSet, listLinks, vxlanAdd } from '#/kernel/links.ts'
import { type Netlink, type Operation } from '#/kernel/netlink.ts'
import { isOurDevice } from '#/model/names.ts'
import { type DesiredLink, type DesiredNetwork } from '#/model/network.ts'
import { compareByKey, type Comparison, type Driver } from './driver.ts'

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
  // some properties cannot change in an existing device: it is made anew, and its routes and neighbours follow in the same pass
  if (!isSameDevice(desired, actual)) return [linkDelete(desired.name), add(desired)]
  const mtu = desired.kind === 'vxlan' ? { mtuBytes: desired.mtuBytes } : {}
  return [linkSet(desired.name, { mac: desired.mac, ...mtu, isUp: true })]
}

export class LinkDriver implements Driver {
  readonly kind = 'link'
  readonly #netlink: Netlink

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  compare({ links }: DesiredNetwork): Comparison {
    const actual = listLinks(this.#netlink).filter(({ name }) => isOurDevice(name))
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
