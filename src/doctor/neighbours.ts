// Neighbour entries with another MAC than the node has that is meant. That alone is no fault, since networks of clouds answer for all with one MAC:
// it counts where packets are lost. Pure.
import { type NamespaceFacts } from '#/api/schemas/facts.ts'
import { problem } from '#/model/problems.ts'
import { type NodeAnswers, type Sign } from './types.ts'

type Owner = {
  readonly node: string
  readonly device: string
  readonly macs: ReadonlySet<string>
  readonly mac: string
}
type Neighbour = NamespaceFacts['neighbours'][number]

const isOurs = (device: string): boolean => device.startsWith('cw')

/** Who has which address; a node may answer with the MAC of any of its devices. */
function ownersIn(all: readonly NodeAnswers[]): Map<string, Owner[]> {
  const owners = new Map<string, Owner[]>()
  for (const { node, facts } of all) {
    const own = facts?.namespaces[0]
    if (own === undefined) continue
    const macs = new Set(own.links.map(({ mac }) => mac))
    for (const { device, addr } of own.addresses) {
      const mac = own.links.find(({ name }) => name === device)?.mac
      if (mac === undefined || isOurs(device) || device === 'lo') continue
      owners.set(addr, [...(owners.get(addr) ?? []), { node, device, macs, mac }])
    }
  }
  return owners
}

function wrongMac(node: string, neighbour: Neighbour, owners: readonly Owner[]): Sign[] {
  const { addr, device, mac, state } = neighbour
  // of an address that several have none is the right one
  const [owner, ...others] = owners
  if (owner === undefined || others.length > 0 || owner.node === node || mac === undefined) return []
  if (owner.macs.has(mac)) return []
  const message = `its neighbour entry of ${addr} on ${device} (${state}) has the MAC ${mac}, and ${owner.node} has ${owner.mac} on its ${owner.device}`
  const remedy =
    state === 'permanent'
      ? `take it out where it is configured, and here: ip neigh del ${addr} dev ${device}; the kernel then asks ${owner.node} itself`
      : `look for another machine with the address ${addr}, or one that answers ARP for others: arping -D -I ${device} ${addr}; then: ip neigh flush to ${addr} dev ${device}`
  return [
    {
      ...problem('CW8105', `neighbour/${addr}`, message, { remedy }),
      nodes: [node],
      extent: { at: node, peers: [owner.node] },
      needs: 'loss',
      // whoever answers for the address has told it to all that have asked
      ...(state !== 'permanent' && { maker: `${addr} ${mac}` }),
    },
  ]
}

/** An entry that somebody has set, of an address that no node has, such as a router's. */
function setByHand(node: string, { addr, device, mac, state }: Neighbour, { routes }: NamespaceFacts): Sign[] {
  if (state !== 'permanent' || mac === undefined) return []
  if (!routes.some(({ nextHops }) => nextHops.some(({ gateway }) => gateway === addr))) return []
  const message = `its neighbour entry of ${addr} on ${device}, a next hop of its routes, was set by somebody (permanent) to the MAC ${mac}, and packets by it are lost`
  return [
    {
      ...problem('CW8105', `neighbour/${addr}`, message, {
        remedy: `ask that router for its MAC (arping -I ${device} ${addr}); if it is another one, take the entry out where it is configured, and here: ip neigh del ${addr} dev ${device}`,
      }),
      nodes: [node],
      extent: { at: node },
      needs: 'loss',
    },
  ]
}

/** Whether neighbours on the device have the MACs of nodes at all: a network that answers for all with its own shows none. */
function hasRight(
  node: string,
  neighbours: readonly Neighbour[],
  device: string,
  owners: ReadonlyMap<string, readonly Owner[]>,
): boolean {
  return neighbours.some((each) => {
    const [owner] = owners.get(each.addr) ?? []
    return each.device === device && owner !== undefined && owner.node !== node && owner.macs.has(each.mac ?? '')
  })
}

export function neighbourSigns(all: readonly NodeAnswers[]): Sign[] {
  const owners = ownersIn(all)
  return all.flatMap(({ node, facts }) => {
    const own = facts?.namespaces[0]
    if (own === undefined) return []
    return own.neighbours
      .filter(({ device }) => !isOurs(device))
      .filter(({ state, device }) => state === 'permanent' || hasRight(node, own.neighbours, device, owners))
      .flatMap((neighbour) => {
        const known = owners.get(neighbour.addr) ?? []
        return known.length > 0 ? wrongMac(node, neighbour, known) : setByHand(node, neighbour, own)
      })
  })
}
