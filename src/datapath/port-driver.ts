// Pod veths on the host, whichever datapath they hang on. CNI ADD makes them; here they are kept attached, made anew when somebody
// deleted them, and those of no pod are removed. Ownership: their names (model/names.ts).
import { type Link, linkDelete, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { isPodDevice } from '#/model/names.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { type Change, compareByKey, type Comparison, type Driver } from '#/reconcile/driver.ts'
import { datapathKinds } from './registry.ts'

/** What the driver asks about pods, at the very moment: an ADD or DEL may have come since the plan was drawn. */
export type PodPorts = {
  readonly isInUse: (port: string) => boolean
  /** Makes the veth of a pod anew that somebody deleted; throws what keeps it from that. */
  readonly rewire: (port: string) => void
}

export class PortDriver implements Driver {
  readonly kind = 'port'
  readonly #netlink: Netlink
  readonly #pods: PodPorts

  constructor(netlink: Netlink, pods: PodPorts) {
    this.#netlink = netlink
    this.#pods = pods
  }

  compare({ ports }: DesiredNetwork): Comparison {
    const all = listLinks(this.#netlink)
    const links = new Map(all.map((link) => [link.name, link]))
    const actual = all.filter(({ name, kind }) => kind === 'veth' && isPodDevice(name))
    const desired = ports.filter(({ name }) => this.#pods.isInUse(name))
    const isPresent = ({ name }: { name: string }): boolean => links.get(name)?.kind === 'veth'
    const comparison = compareByKey({
      desired: new Map(desired.filter(isPresent).map((port) => [port.name, port])),
      actual: new Map(actual.map((link) => [link.name, link])),
      same: ({ datapath }, link: Link) => datapathKinds[datapath].hostSide.isAttached(link, links),
      add: (port) => datapathKinds[port.datapath].hostSide.attach(port, links),
      remove: ({ name }) => [linkDelete(name)],
      obstacle: ({ datapath }) => {
        const message = datapathKinds[datapath].hostSide.obstacle(links)
        return message === undefined ? undefined : { message }
      },
    })
    const rewired = desired
      .filter((port) => !isPresent(port))
      .map(({ name, pod }): Change => ({
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
