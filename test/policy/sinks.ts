// The places where the form of policies goes on a node: nftables, and the maps of programs.
import { type EbpfNode } from '../netns/ebpf-node.ts'

export type Sinks = Disposable & { readonly all: readonly any[] }
export function openSinks(_node: EbpfNode): Sinks {
  return { all: [], [Symbol.dispose]() {} }
}
