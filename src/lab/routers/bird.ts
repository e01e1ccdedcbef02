// The configuration text of BIRD 2 for one router. Pure. bird(8), "Protocols" of BIRD's user's guide.
import { type Family } from '#/lib/addr.ts'
import { type Router, type RouterNeighbour } from './fabric.ts'

/** Short timers, because nodes of a lab come and go often: a session is tried again soon after an error. */
const sessionTimers = `  hold time 90;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 4;
  error forget time 30;`

function kernel(family: Family): string {
  return `protocol kernel kernel${family} {
  ipv${family} {
    import none;
    # what a neighbour said: subnets of its own are the kernel's already
    export where source = RTS_BGP;
  };
  merge paths on limit 16;
  graceful restart on;
}`
}

/** A valid name in BIRD: letters, digits and underscores. */
function symbol(name: string): string {
  return name.replaceAll('-', '_')
}

/**
 * A session with a neighbour. Nodes share an AS and would reject each other's routes as loops, so their AS is removed from the paths of
 * routes that are advertised to nodes.
 */
function session(router: Router, neighbour: RouterNeighbour, isNode: boolean): string {
  const exported = isNode ? 'filter to_nodes' : 'filter to_routers'
  const channels = router.families.map((family) => `  ipv${family} { import all; export ${exported}; };`)
  const lines = [
    `protocol bgp ${symbol(neighbour.name)} {`,
    `  local ${neighbour.localAddr} as ${router.asn};`,
    `  neighbor ${neighbour.addr} as ${neighbour.asn};`,
    `  interface "${neighbour.device}";`,
    '  direct;',
    sessionTimers,
    '  graceful restart on;',
    '  graceful restart time 120;',
    ...(router.bfd ? ['  bfd on;'] : []),
    ...channels,
    '}',
  ]
  return lines.join('\n')
}

/** Filters that announce only the router's own subnets and routes that others announced to it. */
function filters({ rack }: Router): string {
  const isPublic = 'source ~ [RTS_DEVICE, RTS_BGP]'
  const toRouters = `filter to_routers {\n  if ${isPublic} then accept;\n  reject;\n}`
  if (rack === undefined) return toRouters
  return `${toRouters}

filter to_nodes {
  if source = RTS_BGP then bgp_path.delete(${rack.nodesAsn});
  if ${isPublic} then accept;
  reject;
}`
}

/** The complete configuration; equal routers have equal texts. */
export function birdConfig(router: Router): string {
  const parts = [
    `# Router ${router.name} of a Causeway lab, written by it: changes are lost.`,
    'log stderr all;',
    `router id ${router.id};`,
    'graceful restart wait 60;',
    'protocol device {\n  scan time 5;\n}',
    `protocol direct {\n${router.families.map((family) => `  ipv${family};\n`).join('')}}`,
    ...router.families.map(kernel),
    filters(router),
    ...(router.bfd ? ['protocol bfd {\n  interface "*" { interval 300 ms; multiplier 3; };\n}'] : []),
    ...router.routers.map((each) => session(router, each, false)),
    ...(router.rack?.nodes ?? []).map((each) => session(router, each, true)),
  ]
  return `${parts.join('\n\n')}\n`
}
