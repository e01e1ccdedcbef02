// A lab with racks, for tests of values derived from its spec.
import { Prefix } from '#/lib/addr.ts'
import { defaultClusterCIDRs, familiesOf, type LabRacks, type LabSpec } from '../spec.ts'

export function rackedLab(lab: Partial<LabSpec>, racks: Partial<LabRacks>): LabSpec {
  const families = lab.families ?? 'dual'
  const count = racks.count ?? 2
  return {
    name: 'lab',
    nodes: 4,
    families,
    clusterCIDRs: familiesOf({ families }).map((family) => Prefix.parse(defaultClusterCIDRs[family])),
    underlayMtuBytes: 1500,
    subnets: count,
    routing: 'native',
    datapath: 'bridge',
    podsPerNode: 1,
    ...lab,
    racks: { count, tors: 1, router: 'bird', nodeAsns: 'one', bfd: false, ...racks },
  }
}
