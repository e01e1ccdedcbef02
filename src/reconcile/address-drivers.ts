// Gateway addresses on the bridge, and the made-up VTEP's neighbour entries. Ownership: the device they are on.
import { addressAdd, addressDelete, listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { listPermanentNeighbours, neighbourDelete, neighbourReplace } from '#/kernel/neighbours.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { bridgeName, vxlanName } from '#/model/names.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { compareByKey, type Comparison, type Driver } from './driver.ts'

/** The device's index and name; index 0 is "not there (yet)". */
export function deviceOf(netlink: Netlink, name: string): { index: number; name: string } {
  return { index: listLinks(netlink).find((link) => link.name === name)?.index ?? 0, name }
}

export function missing(device: { index: number; name: string }): string | undefined {
  return device.index === 0 ? `device ${device.name} is missing` : undefined
}

export class AddressDriver implements Driver {
  readonly kind = 'address'
  readonly #netlink: Netlink

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  compare({ addresses }: DesiredNetwork): Comparison {
    const bridge = deviceOf(this.#netlink, bridgeName)
    const actual = listAddresses(this.#netlink).filter(({ index, addr }) => index === bridge.index && !addr.isLinkLocal)
    return compareByKey({
      desired: new Map(addresses.map((each) => [`${each.addr}/${each.prefixLength}`, each])),
      actual: new Map(actual.map((each) => [`${each.addr}/${each.prefixLength}`, each])),
      same: () => true,
      add: ({ addr, prefixLength }) => [addressAdd(bridge, addr, prefixLength)],
      remove: ({ addr, prefixLength }) => [addressDelete(bridge, addr, prefixLength)],
      obstacle: () => missing(bridge),
    })
  }
}

export class NeighbourDriver implements Driver {
  readonly kind = 'neighbour'
  readonly #netlink: Netlink

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  compare({ neighbours }: DesiredNetwork): Comparison {
    const vxlan = deviceOf(this.#netlink, vxlanName)
    const actual = listPermanentNeighbours(this.#netlink).filter(({ index }) => index === vxlan.index)
    return compareByKey({
      desired: new Map(neighbours.map((each) => [`${each.addr} dev ${each.device}`, each])),
      actual: new Map(actual.map((each) => [`${each.addr} dev ${vxlan.name}`, each])),
      same: (desired, found) => desired.mac === found.mac,
      add: ({ addr, mac }) => [neighbourReplace(vxlan, addr, mac)],
      remove: ({ addr }) => [neighbourDelete(vxlan, addr)],
      obstacle: () => missing(vxlan),
    })
  }
}
