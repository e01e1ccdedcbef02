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
  LabError,
  type LabFamilies,
  type LabRacks,
  type LabSpec,
  meshes,
  routerKinds,
} from '#/lab/spec.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { noMore, options, UsageError, wholeNumber } from './args.ts'

const upOptions = {
  name: { type: 'string', default: 'lab' },
  nodes: { type: 'string', default: '3' },
  pods: { type: 'string', default: '2' },
  families: { type: 'string', default: 'dual' },
  'cluster-cidrs': { type: 'string' },
  mtu: { type: 'string', default: '1500' },
  subnets: { type: 'string' },
  racks: { type: 'string' },
  tors: { type: 'string' },
  router: { type: 'string' },
  'node-asns': { type: 'string' },
  bfd: { type: 'boolean' },
  routing: { type: 'string' },
  mesh: { type: 'string' },
  foreground: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

const familyNames = ['ipv4', 'ipv6', 'dual'] as const satisfies LabFamilies[]

function oneOf<const T extends string>(option: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((each) => each === text)
  if (choice === undefined) throw new UsageError(`--${option} "${text}": expected ${choices.join(', ')}`)
  return choice
}

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

type Values = ReturnType<typeof options<typeof upOptions>>['values']

function racksOf(values: Values): LabRacks | undefined {
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
    router: oneOf('router', values.router ?? 'bird', routerKinds),
    nodeAsns: oneOf('node-asns', values['node-asns'] ?? 'one', asnPlans),
    bfd: values.bfd === true,
  }
}

/** Throws UsageError. What can change while a lab is up stays as it is when nothing is said of it. */
export function readUpOptions(args: readonly string[]) {
  const { values, positionals } = options(args, upOptions)
  noMore(positionals)
  const families = oneOf('families', values.families, familyNames)
  const racks = racksOf(values)
  const before = existingLabs().includes(values.name) ? readSpec(new LabPaths(values.name)) : undefined
  const mesh = values.mesh ?? before?.mesh
  const spec: LabSpec = {
    name: values.name,
    nodes: wholeNumber('nodes', values.nodes),
    families,
    clusterCIDRs: cidrsOf(values['cluster-cidrs'], families),
    underlayMtuBytes: wholeNumber('mtu', values.mtu),
    subnets: racks?.count ?? wholeNumber('subnets', values.subnets ?? '1'),
    ...(racks && { racks }),
    routing: oneOf('routing', values.routing ?? before?.routing ?? 'vxlan', routings),
    ...(mesh !== undefined && { mesh: oneOf('mesh', mesh, meshes) }),
    podsPerNode: wholeNumber('pods', values.pods),
  }
  try {
    checkSpec(spec)
  } catch (error) {
    throw error instanceof LabError ? new UsageError(error.message) : error
  }
  return { spec, foreground: values.foreground === true, json: values.json === true }
}
