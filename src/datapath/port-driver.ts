// Pod veths on the host, for every datapath. CNI ADD makes them; this driver keeps them attached and limited, makes them anew when somebody
// deleted them, and removes those that belong to no pod. Ownership: name, kind and MAC (`isOwnLink` of model/names.ts).
import { linkDelete, linkSet, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { listRootQdiscs } from '#/kernel/qdiscs.ts'
import { isOwnLink, isPodDevice, unpluggedGroup } from '#/model/names.ts'
import { type DesiredNetwork, type DesiredPort } from '#/model/network.ts'
import { type Change, changeOf, type Comparison, type Driver } from '#/reconcile/driver.ts'
import { type Failure } from '#/reconcile/status.ts'
import { type DatapathName } from '#/model/datapath.ts'
import { type HostSide } from './datapath.ts'
import { judgeLimit } from './limit.ts'
import { datapathKinds } from './registry.ts'

/** What the driver asks the agent about pods at the moment of a change, since an ADD or DEL may have come after the plan was made. */
export type PodPorts = {
  readonly isInUse: (port: string) => boolean
  /** Whether it is known which pods there are: not while the state file cannot be used. Absent: it is. */
  readonly areKnown?: () => boolean
  /** The MTU that the host ends of all pods were given. Undefined, or absent, while some may have another. */
  readonly hostMtuBytes?: () => number | undefined
  /** Makes a pod's veth anew after somebody deleted it; throws when it cannot. */
  readonly rewire: (port: string) => void | Promise<void>
}

export class PortDriver implements Driver {
  readonly kind = 'port'
  readonly #netlink: Netlink
  readonly #pods: PodPorts

  constructor(netlink: Netlink, pods: PodPorts) {
    this.#netlink = netlink
    this.#pods = pods
  }

  async compare({ ports }: DesiredNetwork): Promise<Comparison> {
    // pods and devices are read at the same moment, so that a pod of a later ADD is not compared with older devices
    const desired = ports.filter(({ name }) => this.#pods.isInUse(name))
    const all = listLinks(this.#netlink)
    const links = new Map(all.map((link) => [link.name, link]))
    const sides = new Map<DatapathName, HostSide>()
    for (const name of new Set(desired.map(({ datapath }) => datapath)))
      sides.set(name, await datapathKinds[name].hostSide(this.#netlink, links))
    let roots: ReturnType<typeof listRootQdiscs> | undefined
    const changes: Change[] = []
    const failures = new Map<string, Failure>()
    const mtuBytes = this.#pods.hostMtuBytes?.()
    for (const port of desired) {
      const side = sides.get(port.datapath)!
      const device = links.get(port.name)
      // one that a DEL has unplugged, whose agent ended before it noted that, would be deleted with the next ones
      if (device?.kind !== 'veth' || device.group === unpluggedGroup) {
        changes.push(this.#rewiring(port))
        continue
      }
      const limit = judgeLimit(device, port.ingress, () => (roots ??= listRootQdiscs(this.#netlink)).get(device.index))
      if (limit.kind === 'lost') changes.push(changeOf('change', port.name, [limit.remedy]))
      else if (limit.kind === 'displaced') failures.set(port.name, limit.failure)
      if (mtuBytes !== undefined && device.mtuBytes !== mtuBytes)
        changes.push(changeOf('change', port.name, [linkSet(port.name, { mtuBytes })]))
      const settled = { ...device, mtuBytes: mtuBytes ?? device.mtuBytes }
      if (side.isAttached(settled)) continue
      if (side.obstacle !== undefined) failures.set(port.name, { message: side.obstacle })
      else changes.push(side.attach(port, settled))
    }
    const leftovers = all
      .filter((link) => isPodDevice(link.name) && isOwnLink(link) && !this.#pods.isInUse(link.name))
      .map(({ name }) => this.#removal(name))
    return { keys: desired.map(({ name }) => name), changes, leftovers, failures }
  }

  #rewiring({ name, pod }: DesiredPort): Change {
    const commands = [`# make ${name}, the veth of pod ${pod}, anew`]
    return { verb: 'add', key: name, commands, work: { call: () => this.#pods.rewire(name) } }
  }

  #removal(name: string): Change {
    // asks again when the change is carried out: an ADD may have given the veth to a pod meanwhile
    return { ...changeOf('delete', name, [linkDelete(name)]), work: { call: () => this.#removeUnused(name) } }
  }

  #removeUnused(port: string): void {
    if (!this.#pods.isInUse(port)) this.#netlink.execute(linkDelete(port))
  }
}
