// What a node's kernel has of flannel's state, read at one moment. Nothing is changed.
import { type DeviceAddress, listAddresses } from '#/kernel/addresses.ts'
import { listFdb } from '#/kernel/fdb.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { listNeighbours } from '#/kernel/neighbours.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { listRoutesInTurns } from '#/kernel/routes.ts'
import { type FdbEntry, type Neighbour } from '#/wire/netlink/neigh.ts'
import { type Route } from '#/wire/netlink/route.ts'

export type FlannelState = {
  readonly links: readonly Link[]
  readonly addresses: readonly DeviceAddress[]
  /** Of the table main. */
  readonly routes: readonly Route[]
  readonly neighbours: readonly Neighbour[]
  readonly fdb: readonly FdbEntry[]
}

/** Reads in turns of the event loop what may be large. The socket has to be for asynchronous requests alone. Rejects with KernelError. */
export async function readFlannelState(netlink: Netlink): Promise<FlannelState> {
  const routes = await listRoutesInTurns(netlink)
  const neighbours = await listNeighbours(netlink)
  const fdb = await listFdb(netlink)
  return { links: listLinks(netlink), addresses: listAddresses(netlink), routes, neighbours, fdb }
}
