// The places where the form of policies goes on a node: nftables, and the maps of programs.
import { PolicyMaps } from '#/datapath/programs.ts'
import { findLink } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { silent } from '#/lib/log.ts'
import { type PolicySink } from '#/reconcile/policy/policy-sink.ts'
import { PolicyTables } from '#/reconcile/policy/policy-tables.ts'
import { type EbpfNode } from '../netns/ebpf-node.ts'

export type Sinks = Disposable & { readonly all: readonly PolicySink[]; readonly tables: PolicyTables }

export function openSinks({ host, agent }: EbpfNode): Sinks {
  const bridgeMac = (): string | undefined => {
    using netlink = new Netlink(0, host.netns)
    return findLink(netlink, 'cw-br0')?.mac
  }
  const tables = new PolicyTables({ netns: host.netns, bridgeMac, log: silent })
  return {
    all: [tables, new PolicyMaps({ ebpf: agent.ebpf })],
    tables,
    [Symbol.dispose]: () => tables[Symbol.dispose](),
  }
}
