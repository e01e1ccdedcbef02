// Addresses of our devices, and the made-up VTEP's neighbour entries. Ownership: the device they are on.
import { addressAdd, addressDelete, listAddresses } from '#/kernel/addresses.ts'
import { listLinks } from '#/kernel/links.ts'
import { listPermanentNeighbours, neighbourDelete, neighbourReplace } from '#/kernel/neighbours.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { isOwnLink, ourDevices, vxlanName } from '#/model/names.ts'
import {
  addressKey,
  addrOfNeighbourKey,
  type DesiredAddress,
  type DesiredNetwork,
  neighbourKey,
  type NetworkDelta,
} from '#/model/network.ts'
import { type Change, changeOf, compareByKey, type Comparison, type Driver, nothingToDo } from './driver.ts'
import { missingDevice } from './missing-device.ts'
import { type Failure } from './status.ts'

/** A device and its index; index 0 means that the device does not exist (yet). */
type Place = { readonly index: number; readonly name: string }

/** Finds one of our devices. Another device of that name is somebody else's, and so are its addresses. */
function deviceOf(netlink: Netlink, name: string): Place {
  const ours = listLinks(netlink).find((link) => link.name === name && isOwnLink(link))
  return { index: ours?.index ?? 0, name }
}

function missing(device: Place): Failure | undefined {
  return device.index === 0 ? missingDevice(device.name) : undefined
}

export class AddressDriver implements Driver {
  readonly kind = 'address'
  readonly #netlink: Netlink

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  compare({ addresses }: DesiredNetwork): Comparison {
    const devices = Object.keys(ourDevices).map((name) => deviceOf(this.#netlink, name))
    const placeOf = ({ device }: DesiredAddress): Place => devices.find(({ name }) => name === device)!
    const desired = new Map(addresses.map((each) => [addressKey(each), each]))
    const actual = listAddresses(this.#netlink).flatMap(({ index, addr, prefixLength }): DesiredAddress[] => {
      const device = devices.find((each) => each.index === index)
      if (device === undefined) return []
      const found = { device: device.name, addr, prefixLength }
      // the kernel itself adds link-local addresses (RFC 4862 section 5.3), which may be others than the plan asks for
      const isAutomatic = addr.family === 6 && addr.isLinkLocal && !desired.has(addressKey(found))
      return isAutomatic ? [] : [found]
    })
    return compareByKey({
      desired,
      actual: new Map(actual.map((each) => [addressKey(each), each])),
      same: () => true,
      add: (each) => [addressAdd(placeOf(each), each.addr, each.prefixLength)],
      remove: (each) => [addressDelete(placeOf(each), each.addr, each.prefixLength)],
      obstacle: (each) => missing(placeOf(each)),
    })
  }
}

export class NeighbourDriver implements Driver {
  readonly kind = 'neighbour'
  readonly #netlink: Netlink
  /** The VXLAN device as of the last comparison; a device that is made anew causes another comparison. */
  #vxlan: Place | undefined

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
