// The options of `causeway lab up`, as the spec of a lab.
import { Prefix } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { routings } from '#/model/routing.ts'
import { existingLabs, LabPaths } from '#/lab/paths.ts'
import {
  asnPlans,
  checkSpec,
  defaultClusterCIDRs,
  familiesOf,
  labDatapaths,
  labNetworks,
  LabError,
  type LabFamilies,
  type LabRacks,
  type LabSpec,
  meshes,
  routerKinds,
} from '#/lab/spec.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { noMore, options, type OptionTable, UsageError, type Values, wholeNumber } from './args.ts'

/** The option that says which lab a command is about. */
export const labNameOption = {
  name: { type: 'string', alias: 'lab', value: 'NAME', default: 'lab', help: 'which lab, of several' },
} as const satisfies OptionTable

/** What is wrong with a lab's name or spec is wrong use. */
export function usageErrorOf(error: unknown): unknown {
  return error instanceof LabError ? new UsageError(error.message) : error
}

/** The places of a lab's files; throws UsageError for what is no name of a lab. */
export function pathsOfLab(name: string): LabPaths {
  try {
    return new LabPaths(name)
  } catch (error) {
    throw usageErrorOf(error)
  }
}

// Defaults are those of a lab that is made: one that is there keeps what it was made with, so none is a default of the parser.
export const upOptions = {
  nodes: { type: 'string', value: 'N', help: 'how many nodes', shownDefault: '3' },
  pods: { type: 'string', value: 'N', help: 'how many pods on each', shownDefault: '2' },
  families: {
    type: 'string',
    value: 'F',
    help: 'address families of nodes and pods',
    choices: ['ipv4', 'ipv6', 'dual'] satisfies LabFamilies[],
    shownDefault: 'dual',
  },
  'cluster-cidrs': {
    type: 'string',
    value: 'LIST',
    help: 'CIDRs of all pods',
    shownDefault: Object.values(defaultClusterCIDRs).join(','),
  },
  mtu: { type: 'string', value: 'BYTES', help: 'MTU of the underlay', shownDefault: '1500' },
  subnets: { type: 'string', value: 'N', help: 'underlay subnets, joined by a router', shownDefault: '1' },
  network: {
    type: 'string',
    value: 'N',
    help: 'whose network the nodes have; those of flannel have an observer instead of an agent',
    choices: labNetworks,
    shownDefault: 'causeway',
  },
  routing: {
    type: 'string',
    value: 'MODE',
    help: 'how packets cross; a lab that is up can change',
    choices: routings,
    shownDefault: 'vxlan',
  },
  datapath: {
    type: 'string',
    value: 'D',
    help: 'what carries packets on a node; mixed is ebpf on every other one; a lab that is up can change',
    choices: labDatapaths,
    shownDefault: 'bridge',
  },
  mesh: {
    type: 'string',
    value: 'M',
    help: 'BGP sessions between nodes; auto is through route reflectors where they are many',
    choices: meshes,
    shownDefault: 'none with VXLAN or racks, else auto',
  },
  racks: { type: 'string', value: 'N', help: 'racks of nodes, each with a router that speaks BGP' },
  tors: { type: 'string', value: 'N', help: 'routers of each rack, 1 or 2', shownDefault: '1' },
  router: { type: 'string', value: 'KIND', help: "the routers' daemon", choices: routerKinds, shownDefault: 'bird' },
  'node-asns': {
    type: 'string',
    value: 'PLAN',
    help: 'one AS number for all nodes, or one for each rack',
    choices: asnPlans,
    shownDefault: 'one',
  },
  bfd: { type: 'boolean', help: 'BFD between routers and nodes' },
  ...labNameOption,
  foreground: { type: 'boolean', help: 'stay, and take the lab down at Ctrl-C' },
  json: { type: 'boolean', help: 'for programs' },
} as const satisfies OptionTable

type UpValues = Values<typeof upOptions>

function cidrsOf(text: string | undefined, families: LabFamilies): Prefix[] {
  const list =
    text ??
    familiesOf({ families })
      .map((family) => defaultClusterCIDRs[family])
      .join(',')
  return list.split(',').map((each) => {
    try {
      return Prefix.parse(each.trim())
    } catch (error) {
      throw new UsageError(`--cluster-cidrs: ${messageOf(error)}`)
    }
  })
}

function racksOf(values: UpValues): LabRacks | undefined {
  if (values.racks === undefined) {
    const stray = (['tors', 'router', 'node-asns', 'bfd'] as const).find((each) => values[each] !== undefined)
    if (stray) throw new UsageError(`--${stray} is for a lab with racks: add --racks N`)
    return undefined
  }
  if (values.subnets !== undefined)
    throw new UsageError('--racks and --subnets exclude each other: each rack has a subnet of its own')
  return {
    count: wholeNumber('racks', values.racks),
    tors: wholeNumber('tors', values.tors ?? '1'),
    router: values.router ?? 'bird',
    nodeAsns: values['node-asns'] ?? 'one',
    bfd: values.bfd === true,
  }
}

function newSpec(values: UpValues): LabSpec {
  const racks = racksOf(values)
  const families = values.families ?? 'dual'
  return {
    name: values.name,
    nodes: wholeNumber('nodes', values.nodes ?? '3'),
    families,
    clusterCIDRs: cidrsOf(values['cluster-cidrs'], families),
    underlayMtuBytes: wholeNumber('mtu', values.mtu ?? '1500'),
    subnets: racks?.count ?? wholeNumber('subnets', values.subnets ?? '1'),
    ...(racks && { racks }),
    ...(values.network !== undefined && values.network !== 'causeway' && { network: values.network }),
    routing: values.routing ?? 'vxlan',
    datapath: values.datapath ?? 'bridge',
    ...(values.mesh !== undefined && { mesh: values.mesh }),
    podsPerNode: wholeNumber('pods', values.pods ?? '2'),
  }
}

/** The options that cannot change while a lab is up, with their values; undefined where the lab has no such part. */
function fixedIn(spec: LabSpec): Readonly<Record<string, string | undefined>> {
  const { racks } = spec
  return {
    families: spec.families,
    'cluster-cidrs': spec.clusterCIDRs.join(','),
    mtu: String(spec.underlayMtuBytes),
    network: spec.network ?? 'causeway',
    subnets: racks ? undefined : String(spec.subnets),
    racks: racks && String(racks.count),
    tors: racks && String(racks.tors),
    router: racks?.router,
    'node-asns': racks?.nodeAsns,
    bfd: racks?.bfd ? 'on' : 'off',
  }
}

/** The options as the lab that is up would write them: "10.0.0.0/16, fd00::/48" is what it has already. */
function fixedOf(values: UpValues): Readonly<Record<string, string | undefined>> {
  const number = (option: 'mtu' | 'subnets' | 'racks' | 'tors'): string | undefined =>
    values[option] === undefined ? undefined : String(wholeNumber(option, values[option]))
  const families = values.families ?? 'dual'
  return {
    families: values.families,
    'cluster-cidrs': values['cluster-cidrs'] && cidrsOf(values['cluster-cidrs'], families).join(','),
    mtu: number('mtu'),
    network: values.network,
    subnets: number('subnets'),
    racks: number('racks'),
    tors: number('tors'),
    router: values.router,
    'node-asns': values['node-asns'],
    bfd: values.bfd === undefined ? undefined : 'on',
  }
}

/**
 * The lab that is asked for: one that is there keeps what it was made with, but for what is asked to change and can.
 * Throws UsageError naming the first option that cannot.
 */
export function specOf(values: UpValues, before: LabSpec | undefined): LabSpec {
  if (before === undefined) return newSpec(values)
  const has = fixedIn(before)
  for (const [option, wanted] of Object.entries(fixedOf(values))) {
    const is = has[option]
    if (wanted === undefined || wanted === is) continue
    const state = is === undefined ? 'it has none' : `it is ${is}`
    throw new UsageError(
      `--${option} cannot change while the lab is up: ${state}; for another lab, use --name, or first: causeway lab down --name ${before.name}`,
    )
  }
  const mesh = values.mesh ?? before.mesh
  return {
    ...before,
    nodes: values.nodes === undefined ? before.nodes : wholeNumber('nodes', values.nodes),
    podsPerNode: values.pods === undefined ? before.podsPerNode : wholeNumber('pods', values.pods),
    routing: values.routing ?? before.routing,
    datapath: values.datapath ?? before.datapath,
    ...(mesh !== undefined && { mesh }),
  }
}

/** Throws UsageError. */
export function readUpOptions(args: readonly string[]) {
  const { values, positionals } = options(args, upOptions)
  noMore(positionals)
  const before = existingLabs().includes(values.name) ? readSpec(new LabPaths(values.name)) : undefined
  const spec = specOf(values, before)
  try {
    checkSpec(spec)
  } catch (error) {
    throw usageErrorOf(error)
  }
  return { spec, foreground: values.foreground === true, json: values.json === true }
}
