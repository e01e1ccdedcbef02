// The configuration of FRR for one router, as text. Pure. bgpd(8), zebra(8); "BGP" of FRR's user guide.
import { type Family } from '#/lib/addr.ts'
import { type Router, type RouterNeighbour } from './fabric.ts'

const group = 'nodes'

function head(router: Router): string {
  return `! Router ${router.name} of a Causeway lab, written by it: changes are lost.
hostname ${router.name}
log stdout informational
`
}

/** zebra's and bfdd's configuration needs no more than a name. */
export function zebraConfig(router: Router): string {
  return head(router)
}

function neighbourLines({ name, addr, asn }: RouterNeighbour, bfd: boolean): string[] {
  return [
    ` neighbor ${addr} remote-as ${asn}`,
    ` neighbor ${addr} description ${name}`,
    ` neighbor ${addr} timers connect 2`,
    ...(bfd ? [` neighbor ${addr} bfd`] : []),
  ]
}

/** The name of the route map for IPv6 routes to the neighbour on a device. */
function mapOf(device: string): string {
  return `to-${device}`
}

/**
 * Sets the IPv6 next hop in the routers' routes explicitly. bgpd looks for its own IPv6 address when a session over IPv4 comes up, and
 * before zebra has reported addresses it uses ::ffff: and the IPv4 address, an unusable next hop.
 */
function nextHopLines(router: Router): string[] {
  return router.routers.flatMap(({ device }) => {
    const link = router.links.find((each) => each.device === device)
    const own = link?.addrs.find(({ addr }) => addr.family === 6)
    return own === undefined
      ? []
      : [`route-map ${mapOf(device)} permit 10`, ` set ipv6 next-hop global ${own.addr}`, 'exit']
  })
}

/**
 * The lines of a family. Nodes share an AS and would reject each other's routes as loops, so the router replaces that AS by its own in the
 * routes that it advertises to nodes.
 */
function familyLines(router: Router, family: Family): string[] {
  return [
    ` address-family ipv${family} unicast`,
    '  redistribute connected',
    '  maximum-paths 16',
    ...router.routers.flatMap(({ addr, device }) => [
      `  neighbor ${addr} activate`,
      ...(family === 6 ? [`  neighbor ${addr} route-map ${mapOf(device)} out`] : []),
    ]),
    ...(router.rack ? [`  neighbor ${group} activate`, `  neighbor ${group} as-override`] : []),
    ' exit-address-family',
  ]
}

/**
 * The lines for a rack's nodes. Nodes that join later are accepted by their subnet, since bgpd does not read its configuration again.
 * Existing nodes have lines of their own: a restarted bgpd takes up their sessions at once, and its predecessor's routes are swept when the
 * first neighbours have sent all of theirs.
 */
function rackLines(router: Router): string[] {
  if (router.rack === undefined) return []
  return [
    ` neighbor ${group} peer-group`,
    ` neighbor ${group} remote-as external`,
    ` neighbor ${group} timers connect 2`,
    ...(router.bfd ? [` neighbor ${group} bfd`] : []),
    ' bgp listen limit 1000',
    ` bgp listen range ${router.rack.subnet} peer-group ${group}`,
    ...router.rack.nodes.map(({ addr }) => ` neighbor ${addr} peer-group ${group}`),
  ]
}

/** The complete configuration; equal routers have equal texts. */
export function bgpdConfig(router: Router): string {
  const lines = [
    // must come first: bgpd tells nothing to a neighbour whose route map is missing until it looks again, seconds later
    ...nextHopLines(router),
    `router bgp ${router.asn}`,
    ` bgp router-id ${router.id}`,
    ' no bgp ebgp-requires-policy',
    ' no bgp default ipv4-unicast',
    ' bgp bestpath as-path multipath-relax',
    ' bgp graceful-restart',
    ' bgp graceful-restart preserve-fw-state',
    ' bgp graceful-restart restart-time 120',
    ' timers bgp 30 90',
    ...router.routers.flatMap((each) => neighbourLines(each, router.bfd)),
    ...rackLines(router),
    ...router.families.flatMap((family) => familyLines(router, family)),
    'exit',
  ]
  return `${head(router)}${lines.join('\n')}\n`
}
