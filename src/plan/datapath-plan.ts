// The interface by which the plan asks a datapath which kernel objects it needs for the pods of this node. Each datapath answers in a
// pure function of its own (src/datapath), so that the plan does not depend on how pods are connected.
import { type Family, type Prefix } from '#/lib/addr.ts'
import { type DesiredAddress, type DesiredLink, type DesiredSysctl } from '#/model/network.ts'

export type DatapathInput = {
  readonly nodeName: string
  /** The families of the node's pod CIDRs. */
  readonly families: readonly Family[]
  /** The CIDRs of this node's pods: the first address of each is their gateway. */
  readonly served: readonly Prefix[]
}

export type DatapathObjects = {
  readonly sysctls: readonly DesiredSysctl[]
  readonly links: readonly DesiredLink[]
  readonly addresses: readonly DesiredAddress[]
}

export type PlannedDatapath = {
  /** The device through which pods' packets enter and leave the node's own network stack. */
  readonly podDevice: string
  /** Whether eBPF programs carry its pods' packets. */
  readonly hasPrograms?: true
  readonly plan: (input: DatapathInput) => DatapathObjects
}
