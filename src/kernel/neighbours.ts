// Neighbour (ARP and ND) entries.
import { type Addr } from '#/lib/addr.ts'
import { NLM_F_CREATE, NLM_F_REPLACE } from '#/wire/netlink/message.ts'
import {
  decodeNeigh,
  encodeNeigh,
  encodeNeighLookup,
  encodeNeighUse,
  type Neighbour,
  NUD_PERMANENT,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from '#/wire/netlink/neigh.ts'
import { KernelError, type Netlink, type Operation } from './netlink.ts'

const neighHeaderBytes = 12

/** All entries of all devices, in whatever state, read in turns of the event loop. */
export async function listNeighbours(netlink: Netlink): Promise<Neighbour[]> {
  const header = new Uint8Array(neighHeaderBytes)
  const messages = await netlink.dumpInTurns({ what: 'ip neigh show', type: RTM_GETNEIGH, payload: header })
  return messages.flatMap(({ type, payload }) => (type === RTM_NEWNEIGH ? (decodeNeigh(payload) ?? []) : []))
}

export async function listPermanentNeighbours(netlink: Netlink): Promise<Neighbour[]> {
  return (await listNeighbours(netlink)).filter(({ state }) => (state & NUD_PERMANENT) !== 0)
}

/** What the kernel knows of one neighbour; undefined: nothing, so that it asks for it when it has a packet for it. */
export function findNeighbour(netlink: Netlink, device: Place, addr: Addr): Neighbour | undefined {
  const what = `ip neigh get ${addr} dev ${device.name}`
  try {
    return decodeNeigh(
      netlink.get({ what, type: RTM_GETNEIGH, payload: encodeNeighLookup(device.index, addr) }).payload,
    )
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Has the kernel ask for the neighbour's MAC, as it does when it has a packet for it. */
export function neighbourUse(device: Place, addr: Addr): Operation {
  return {
    what: `ip neigh replace ${addr} dev ${device.name} use`,
    type: RTM_NEWNEIGH,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: encodeNeighUse(device.index, addr),
  }
}

type Place = { readonly index: number; readonly name: string }

export function neighbourReplace(device: Place, addr: Addr, mac: string): Operation {
  return {
    what: `ip neigh replace ${addr} lladdr ${mac} dev ${device.name} nud permanent`,
    type: RTM_NEWNEIGH,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: encodeNeigh({ index: device.index, state: NUD_PERMANENT, addr, mac }),
  }
}

export function neighbourDelete(device: Place, addr: Addr): Operation {
  return {
    what: `ip neigh del ${addr} dev ${device.name}`,
    type: RTM_DELNEIGH,
    payload: encodeNeigh({ index: device.index, state: 0, addr }),
  }
}
