// Gateway addresses on the bridge, and the made-up VTEP's neighbour entries. Ownership: the device they are on.
import { addressAdd, addressDelete, listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { listPermanentNeighbours, neighbourDelete, neighbourReplace } from '#/kernel/neighbours.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { bridgeName, vxlanName } from '#/model/names.ts'
import { type DesiredNetwork, type NetworkDelta, addrOfNeighbourKey, neighbourKey } from '#/model/network.ts'
import { type Change, changeOf, compareByKey, type Comparison, type Driver, nothingToDo } from './driver.ts'

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
  /** As of the last comparison; a device that is made anew causes another one. */
  #vxlan: { index: number; name: string } | undefined

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  async compare({ neighbours }: DesiredNetwork): Promise<Comparison> {
    const vxlan = deviceOf(this.#netlink, vxlanName)
    this.#vxlan = vxlan
    const actual = (await listPermanentNeighbours(this.#netlink)).filter(({ index }) => index === vxlan.index)
    return compareByKey({
      desired: new Map(neighbours.map((each) => [neighbourKey(each), each])),
      actual: new Map(actual.map((each) => [neighbourKey({ ...each, device: vxlan.name }), each])),
      same: (desired, found) => desired.mac === found.mac,
      add: ({ addr, mac }) => [neighbourReplace(vxlan, addr, mac)],
      remove: ({ addr }) => [neighbourDelete(vxlan, addr)],
      obstacle: () => missing(vxlan),
    })
  }

  fromDelta({ neighbours }: NetworkDelta): Comparison | undefined {
    const vxlan = this.#vxlan
    if (neighbours.size === 0) return nothingToDo
    if (vxlan === undefined || missing(vxlan)) return undefined
    const changes: Change[] = []
    const leftovers: Change[] = []
    for (const [key, each] of neighbours) {
      if (each) changes.push(changeOf('add', key, [neighbourReplace(vxlan, each.addr, each.mac)]))
      else leftovers.push(changeOf('delete', key, [neighbourDelete(vxlan, addrOfNeighbourKey(key))]))
    }
    return { keys: changes.map(({ key }) => key), changes, leftovers, failures: new Map() }
  }
}
