// The options of `causeway lab up`, as the spec of a lab.
import { Prefix } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { routings } from '#/model/routing.ts'
import { LabPaths } from '#/lab/paths.ts'
import {
  asnPlans,
  checkChange,
  checkSpec,
  defaultClusterCIDRs,
  familiesOf,
  isLabName,
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
  nodes: { type: 'string' },
  pods: { type: 'string' },
  families: { type: 'string' },
  'cluster-cidrs': { type: 'string' },
  mtu: { type: 'string' },
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

const defaultRacks: LabRacks = {
  count: 1,
  tors: 1,
  router: 'bird',
  nodeAsns: 'one',
  bfd: false,
}

type Values = ReturnType<typeof options<typeof upOptions>>['values']

function racksOf(values: Values, before: LabSpec | undefined): LabRacks | undefined {
  if (values.racks === undefined && before?.racks === undefined) {
    const stray = (['tors', 'router', 'node-asns', 'bfd'] as const).find((each) => values[each] !== undefined)
    if (stray) throw new UsageError(`--${stray} is for a lab with racks: add --racks N`)
    return undefined
  }
  if (values.subnets !== undefined)
    throw new UsageError('--racks and --subnets exclude each other: each rack has a subnet of its own')
  const { count, tors, router, nodeAsns, bfd } = { ...defaultRacks, ...before?.racks }
  return {
    count: values.racks === undefined ? count : wholeNumber('racks', values.racks),
    tors: values.tors === undefined ? tors : wholeNumber('tors', values.tors),
    router: oneOf('router', values.router ?? router, routerKinds),
    nodeAsns: oneOf('node-asns', values['node-asns'] ?? nodeAsns, asnPlans),
    bfd: values.bfd ?? bfd,
  }
}

/** The spec that the options ask for; what they say nothing of is as the lab had it, or its default. Throws UsageError. */
function specOf(values: Values, before: LabSpec | undefined): LabSpec {
  const families = oneOf('families', values.families ?? before?.families ?? 'dual', familyNames)
  const racks = racksOf(values, before)
  const mesh = values.mesh ?? before?.mesh
  const number = (option: 'nodes' | 'pods' | 'mtu', known: number | undefined, byDefault: number): number =>
    values[option] === undefined ? (known ?? byDefault) : wholeNumber(option, values[option])
  const keepsCIDRs = before !== undefined && values['cluster-cidrs'] === undefined
  return {
    name: values.name,
    nodes: number('nodes', before?.nodes, 3),
    families,
    clusterCIDRs: keepsCIDRs ? before.clusterCIDRs : cidrsOf(values['cluster-cidrs'], families),
    underlayMtuBytes: number('mtu', before?.underlayMtuBytes, 1500),
    subnets:
      racks?.count ?? (values.subnets === undefined ? (before?.subnets ?? 1) : wholeNumber('subnets', values.subnets)),
    ...(racks && { racks }),
    routing: oneOf('routing', values.routing ?? before?.routing ?? 'vxlan', routings),
    ...(mesh !== undefined && { mesh: oneOf('mesh', mesh, meshes) }),
    podsPerNode: number('pods', before?.podsPerNode, 2),
  }
}

/** Reads the options of `lab up`. Throws UsageError, also for what cannot change while the lab is up. */
export function readUpOptions(
  args: readonly string[],
  specBefore: (lab: string) => LabSpec | undefined = (lab) => readSpec(new LabPaths(lab)),
) {
  const { values, positionals } = options(args, upOptions)
  noMore(positionals)
  // a name that is none is a name of no file
  const before = isLabName(values.name) ? specBefore(values.name) : undefined
  const spec = specOf(values, before)
  try {
    if (before) checkChange(before, spec)
    checkSpec(spec)
  } catch (error) {
    throw error instanceof LabError ? new UsageError(error.message) : error
  }
  return { spec, foreground: values.foreground === true, json: values.json === true }
}
