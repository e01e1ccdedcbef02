// Causeway's own devices: the tunnel's device, and those that datapaths of pods need. Ownership: name, kind, and MAC or alias (`isOwnLink`
// of model/names.ts), or, for one that somebody renamed, the MAC that this node gives such a device.
import {
  bridgeAdd,
  bridgeOpen,
  type Link,
  linkAlias,
  linkDelete,
  linkRename,
  linkSet,
  listLinks,
  vxlanAdd,
} from '#/kernel/links.ts'
import { type Netlink, type Operation } from '#/kernel/netlink.ts'
import { deviceAlias, isOurDevice, isOwnLink } from '#/model/names.ts'
import { type DesiredLink, type DesiredNetwork, minimumMtuV6Bytes } from '#/model/network.ts'
import { type Change, compareByKey, type Comparison, type Driver } from './driver.ts'
import { groChange } from './tunnel-gro.ts'

function isSameDevice(desired: DesiredLink, { vxlan }: Link): boolean {
  return desired.kind !== 'vxlan' || (vxlan?.external === true && vxlan.port === desired.port)
}

/** The MTU of a bridge whose MTU nobody has set: that of its narrowest port (br_mtu_min of net/bridge/br_if.c). */
const emptyBridgeMtuBytes = 1500

/** All devices, for what a device of ours takes over from others. */
type Surroundings = readonly Link[]

/** The MTU of a bridge is only raised here: lowered, it might follow ports whose MTU somebody lowered, which is set back after the links. */
function wantedMtu(desired: DesiredLink, actual: Link, all: Surroundings): number {
  if (desired.kind === 'vxlan') return desired.mtuBytes
  const ports = all.filter(({ master }) => master === actual.index)
  const narrowest = ports.length === 0 ? emptyBridgeMtuBytes : Math.min(...ports.map(({ mtuBytes }) => mtuBytes))
  return Math.max(actual.mtuBytes, narrowest, minimumMtuV6Bytes)
}

function isSame(desired: DesiredLink, actual: Link, all: Surroundings): boolean {
  const { mac, alias, mtuBytes, isUp, hasNoArp } = actual
  const isOpen = isUp && !hasNoArp && bridgeOpen(actual).length === 0
  const isMarked = mac === desired.mac && alias === deviceAlias
  return isSameDevice(desired, actual) && mtuBytes === wantedMtu(desired, actual, all) && isMarked && isOpen
}

function add(desired: DesiredLink): Operation[] {
  const made =
    desired.kind === 'bridge'
      ? bridgeAdd(desired.name, desired.mac)
      : vxlanAdd(desired.name, desired.mac, desired.mtuBytes, desired.port)
  return [made, linkAlias(desired.name, deviceAlias)]
}

function change(desired: DesiredLink, actual: Link, all: Surroundings): Operation[] {
  // some properties cannot change in an existing device: it is made anew, and its routes and neighbours follow in the same pass
  if (!isSameDevice(desired, actual)) return [linkDelete(desired.name), ...add(desired)]
  const { name, mac } = desired
  const mtuBytes = wantedMtu(desired, actual, all)
  return [
    linkSet(name, {
      // the kernel deletes all neighbours of a device whose MAC is set, permanent ones too and even if it is the same (neigh_changeaddr)
      ...(actual.mac !== mac && { mac }),
      ...(actual.mtuBytes !== mtuBytes && { mtuBytes }),
      hasArp: true,
      isUp: true,
    }),
    ...(actual.alias === deviceAlias ? [] : [linkAlias(name, deviceAlias)]),
    ...bridgeOpen({ ...actual, name }),
  ]
}

/** Whether a device is one of ours that somebody renamed: the MAC follows from the node's name and that of the device. */
function isUnderAnotherName(desired: DesiredLink, { kind, mac }: Link): boolean {
  return kind === desired.kind && mac === desired.mac
}

export class LinkDriver implements Driver {
  readonly kind = 'link'
  readonly #netlink: Netlink

  constructor(netlink: Netlink) {
    this.#netlink = netlink
  }

  compare({ links, passage }: DesiredNetwork): Comparison {
    const all = listLinks(this.#netlink)
    const actual = all.filter((link) => isOurDevice(link.name) && isOwnLink(link))
    const foreign = new Map(
      all.flatMap((link) => (isOurDevice(link.name) && !isOwnLink(link) ? [[link.name, link]] : [])),
    )
    const renamed = links.flatMap((desired) => {
      const isThere = foreign.has(desired.name) || actual.some(({ name }) => name === desired.name)
      const found = isThere ? undefined : all.find((link) => isUnderAnotherName(desired, link))
      return found === undefined ? [] : [{ desired, found }]
    })
    const isRenamed = new Set(renamed.map(({ desired }) => desired.name))
    const comparison = this.#compareNamed(
      links.filter(({ name }) => !isRenamed.has(name)),
      { actual, all },
      foreign,
    )
    const changes = [...renamed.map(({ desired, found }) => this.#nameBack(desired, found, all)), ...comparison.changes]
    // a device that is made or changed comes by here again, as the kernel notifies of it
    const settled = links.filter(
      ({ kind, name }) =>
        kind === 'vxlan' && !comparison.failures.has(name) && !changes.some(({ key }) => key === name),
    )
    return {
      ...comparison,
      keys: links.map(({ name }) => name),
      changes: [...changes, ...settled.flatMap(({ name }) => groChange(name, passage) ?? [])],
    }
  }

  #compareNamed(
    links: readonly DesiredLink[],
    { actual, all }: { readonly actual: readonly Link[]; readonly all: Surroundings },
    foreign: ReadonlyMap<string, Link>,
  ): Comparison {
    return compareByKey({
      desired: new Map(links.map((link) => [link.name, link])),
      actual: new Map(actual.map((link) => [link.name, link])),
      same: (desired, link) => isSame(desired, link, all),
      add,
      change: (desired, link) => change(desired, link, all),
      remove: ({ name }) => [linkDelete(name)],
      explain: (desired, error) =>
        desired.kind === 'vxlan' && error.code === 'EADDRINUSE'
          ? {
              message: `${error.message}: UDP port ${desired.port} is taken by another process or VXLAN device`,
              remedy: `find it with "ss -ulpn sport = :${desired.port}" and "ip -d link show type vxlan"; if nothing needs it, end it, else set CAUSEWAY_VXLAN_PORT to another port on all nodes, which reach each other only by the same one`,
            }
          : undefined,
      obstacle: ({ name }) => {
        const found = foreign.get(name)
        return found === undefined
          ? undefined
          : {
              message: `a device ${name} of kind "${found.kind || 'hardware'}" and with MAC ${found.mac} is there already and is not ours`,
              remedy: `rename it where it is configured, along with all that names it, or for now: ip link set dev ${name} name other0 (before Linux 6.2 only while it is down)`,
            }
      },
    })
  }

  /** Gives a device of ours its name back, with all that hangs on it. Kernels before 6.2 rename only what is down. */
  #nameBack(desired: DesiredLink, found: Link, all: Surroundings): Change {
    const rename = linkRename(found, desired.name)
    const settle = change(desired, { ...found, name: desired.name }, all)
    return {
      verb: 'change',
      key: desired.name,
      commands: [rename, ...settle].map(({ what }) => what),
      work: {
        call: () => {
          const [refusal] = this.#netlink.executeAll([rename])
          if (refusal?.code === 'EBUSY') this.#netlink.execute(linkSet(found.name, { isUp: false }), rename)
          else if (refusal) throw refusal
          this.#netlink.execute(...settle)
        },
      },
    }
  }
}
