// The list of all datapaths. To add one: a folder beside bridge/, a line here, and its name in model/datapath.ts.
import { type DatapathName } from '#/model/datapath.ts'
import { bridgeDatapath } from './bridge/bridge.ts'
import { ebpfDatapath } from './ebpf/ebpf.ts'
import { type Datapath, type DatapathDeps, type DatapathKind } from './datapath.ts'

export const datapathKinds: Readonly<Record<DatapathName, DatapathKind>> = {
  bridge: bridgeDatapath,
  ebpf: ebpfDatapath,
}

export type Datapaths = Readonly<Record<DatapathName, Datapath>>

/** Opens every datapath, ready for pods: each pod's row in the store names the datapath that wires it. */
export function openDatapaths(deps: DatapathDeps): Datapaths {
  const opened = Object.entries(datapathKinds).map(([name, kind]) => [name, kind.open(deps)] as const)
  return Object.fromEntries(opened) as Record<DatapathName, Datapath>
}
