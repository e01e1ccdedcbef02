// What the plan asks of the datapath of pods: which kernel objects it wants for what this node serves. Each datapath answers in a
// pure function of its own (src/datapath), so that nothing here knows what pods hang on.
import { type Family, type Prefix } from '#/lib/addr.ts'
import { type DesiredAddress, type DesiredLink, type DesiredSysctl } from '#/model/network.ts'

export type DatapathInput = {
  readonly nodeName: string
  /** The families of the node's pod CIDRs. */
  readonly families: readonly Family[]
  /** From which pods of this node have addresses: the first address of each is their gateway. */
  readonly served: readonly Prefix[]
}

export type DatapathObjects = {
  readonly sysctls: readonly DesiredSysctl[]
  readonly links: readonly DesiredLink[]
  readonly addresses: readonly DesiredAddress[]
}

export type PlannedDatapath = {
  /** The device by which pods' packets enter the node's own stack and leave it towards pods. */
  readonly podDevice: string
  readonly plan: (input: DatapathInput) => DatapathObjects
}
