// What the kernel has in one network namespace.
import { setImmediate } from 'node:timers/promises'
import { type LinkFacts, type NamespaceFacts, type RouteFacts, type RuleFacts } from '#/api/schemas/facts.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { type FdbEntry, listFdb } from '#/kernel/fdb.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { listNeighbours } from '#/kernel/neighbours.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { listRules } from '#/kernel/route-lookup.ts'
import { visitAllRoutesInTurns } from '#/kernel/routes.ts'
import { routeProtocol } from '#/model/names.ts'
import { neighbourState } from '#/wire/netlink/neigh.ts'
import { type AnyRoute } from '#/wire/netlink/route.ts'
import { type Rule } from '#/wire/netlink/rule.ts'
import { type Cuts, most } from './limits.ts'
import { checksumErrors, listeners, sysctlsOf, sysctlsOfNamespace } from './proc.ts'
import { actionOf, ruleText } from './rule-text.ts'

export type Place = {
  /** Of the namespace. */
  readonly netlink: Netlink
  /** Runs a function, which is to be brief, on a thread that is in the namespace. */
  readonly inside: <T>(read: () => T) => T
}

const devicesPerTurn = 40

/** All but what firewalls have. Rejects with KernelError, SysError. */
export async function readNamespace({ netlink, inside }: Place, cuts: Cuts): Promise<Omit<NamespaceFacts, 'chains'>> {
  const links = listLinks(netlink)
  const names = new Map(links.map(({ index, name }) => [index, name]))
  const nameOf = (index: number): string => names.get(index) ?? `if${index}`
  const neighbours = (await listNeighbours(netlink)).flatMap(({ index, addr, mac, state }) => {
    const word = neighbourState(state)
    // what needs no MAC is no neighbour
    if (word === 'noarp' || word === 'none') return []
    return [{ device: nameOf(index), addr: String(addr), ...(mac !== undefined && { mac }), state: word }]
  })
  return {
    links: await cuts.told('links', links, (link) => linkFacts(link, nameOf)),
    addresses: await cuts.told('addresses', listAddresses(netlink), ({ index, addr, prefixLength }) => ({
      device: nameOf(index),
      addr: String(addr),
      prefixLength,
    })),
    routes: await readRoutes(netlink, nameOf, cuts),
    rules: await cuts.told('rules', listRules(netlink), ruleFacts),
    neighbours: await cuts.told('neighbours', neighbours, (each) => each),
    bridgeEntries: await cuts.told('bridge entries', await listFdb(netlink), (entry) => entryFacts(entry, nameOf)),
    sysctls: await readSysctls(inside, links),
    listeners: await cuts.told('listeners', inside(listeners), (each) => each),
    checksumErrors: inside(checksumErrors),
  }
}

async function readSysctls(inside: Place['inside'], links: readonly Link[]): Promise<Record<string, string>> {
  const values = inside(sysctlsOfNamespace)
  const names = links.slice(0, most.links).map(({ name }) => name)
  for (let start = 0; start < names.length; start += devicesPerTurn) {
    if (start > 0) await setImmediate()
    Object.assign(
      values,
      inside(() => sysctlsOf(names.slice(start, start + devicesPerTurn))),
    )
  }
  return values
}

function linkFacts(link: Link, nameOf: (index: number) => string): LinkFacts {
  const { index, name, kind, mac, mtuBytes, isUp, hasCarrier, peerIndex, master, hasNoArp, isEthernet, vxlan, port } =
    link
  return {
    index,
    name,
    kind,
    mac,
    mtuBytes,
    isUp,
    hasCarrier,
    ...(peerIndex !== undefined && { peerIndex }),
    ...(master !== undefined && { master: nameOf(master) }),
    ...(hasNoArp && { hasNoArp }),
    isEthernet,
    ...(vxlan && {
      vxlan: {
        vni: vxlan.id,
        port: vxlan.port,
        isExternal: vxlan.external,
        ...(vxlan.local && { local: String(vxlan.local) }),
      },
    }),
    ...(port && { port }),
  }
}

async function readRoutes(netlink: Netlink, nameOf: (index: number) => string, cuts: Cuts): Promise<RouteFacts[]> {
  const routes: RouteFacts[] = []
  const left = await visitAllRoutesInTurns(netlink, (route) => {
    if (routes.length >= most.routes) return false
    routes.push(routeFacts(route, nameOf))
    return true
  })
  if (left > 0) cuts.note('routes', left)
  return routes
}

function routeFacts(route: AnyRoute, nameOf: (index: number) => string): RouteFacts {
  const { dst, table, type, metric, protocol, from, tos, preference, preferredSource, mtuBytes, encap, deadHops } =
    route
  return {
    dst: String(dst),
    table,
    type,
    metric,
    protocol,
    ...(from && { from: String(from) }),
    ...(tos > 0 && { tos }),
    ...(preference && { preference }),
    ...(preferredSource && { src: String(preferredSource) }),
    ...(mtuBytes !== undefined && { mtuBytes }),
    nextHops: route.nextHops.map(({ oif, gateway, onlink }, index) => ({
      ...(oif !== undefined && { device: nameOf(oif) }),
      ...(gateway && { gateway: String(gateway) }),
      ...(onlink && { isOnlink: true }),
      ...(deadHops.includes(index) && { isDead: true }),
    })),
    ...(encap && { encap: { vni: encap.vni, src: String(encap.src), dst: String(encap.dst) } }),
    isOurs: protocol === routeProtocol,
  }
}

function ruleFacts(rule: Rule): RuleFacts {
  const { family, priority, table, isInverted, src, dst, iif, oif, mark, mask, ipProtocol, isBeyond } = rule
  const { sourcePorts, destinationPorts, goto, suppressLength } = rule
  return {
    family,
    priority,
    text: ruleText(rule),
    ...(table !== undefined && { table }),
    action: actionOf(rule),
    isInverted,
    ...(src && { src: String(src) }),
    ...(dst && { dst: String(dst) }),
    ...(iif !== undefined && { iif }),
    ...(oif !== undefined && { oif }),
    ...(mask !== undefined && { mark: { value: mark ?? 0, mask } }),
    ...(ipProtocol !== undefined && { ipProtocol }),
    ...(sourcePorts && { sourcePorts }),
    ...(destinationPorts && { destinationPorts }),
    ...(goto !== undefined && { goto }),
    ...(suppressLength !== undefined && { suppressLength }),
    isNarrow: isBeyond === true,
  }
}

function entryFacts(
  { index, mac, master, vlan, dst, vni, origin }: FdbEntry,
  nameOf: (index: number) => string,
): NamespaceFacts['bridgeEntries'][number] {
  return {
    device: nameOf(index),
    mac,
    ...(master !== undefined && { bridge: nameOf(master) }),
    ...(dst && { dst: String(dst) }),
    ...(vni !== undefined && { vni }),
    ...(vlan !== undefined && { vlan }),
    isPermanent: origin !== 'learned',
    origin,
  }
}
