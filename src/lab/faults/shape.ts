// What kinds of lab a fault is for, in words for who asks for it in another. Pure.
import { type DatapathName } from '#/model/datapath.ts'
import { familiesOf, type LabSpec, meshOf, nodeDatapaths } from '../spec.ts'

type Needs = (spec: LabSpec) => string | undefined

export const needsTwoNodes: Needs = ({ nodes }) =>
  nodes < 2 ? 'it is between two nodes, and the lab has one; causeway lab up --nodes 2' : undefined

export const needsTunnel: Needs = (spec) => {
  if (spec.routing === 'native')
    return 'it is in the way of the tunnel, and with native routing there is none; causeway lab up --routing vxlan'
  if (spec.network === 'flannel-host-gw')
    return 'it is in the way of the tunnel, and with host-gw there is none; causeway lab up --network flannel-vxlan'
  return needsTwoNodes(spec)
}

export const needsIpv4: Needs = (spec) =>
  familiesOf(spec).includes(4) ? undefined : 'it is of IPv4, and the lab is IPv6 only'

export const needsIpv6: Needs = (spec) =>
  familiesOf(spec).includes(6) ? undefined : 'it is of IPv6, and the lab is IPv4 only'

export const needsBgp: Needs = (spec) =>
  meshOf(spec) === 'none' && spec.racks === undefined
    ? 'no node of it speaks BGP; causeway lab up --mesh full, or --racks 2'
    : undefined

export const needsBfd: Needs = ({ racks }) =>
  racks?.bfd ? undefined : 'no node of it has BFD; causeway lab up --racks 2 --bfd'

export function needsDatapath(datapath: DatapathName): Needs {
  return (spec) =>
    [...nodeDatapaths(spec).values()].includes(datapath)
      ? undefined
      : `it is in the datapath ${datapath}; causeway lab up --datapath ${datapath}`
}

/** Whether packets between nodes may go as they are, without a tunnel. */
export function isNative({ routing }: LabSpec): boolean {
  return routing === 'native'
}
