// Where the eBPF programs are: in the folder beside the bundle's, in a clone and in the image alike.
import { fileURLToPath } from 'node:url'

/** An object file that `setup.sh ebpf` compiles: the programs that carry packets, or those that follow the packets of a trace. */
export function bpfObjectPath(name: 'datapath' | 'trace' = 'datapath'): string {
  const folder = import.meta.url.endsWith('.ts') ? '../../../build/bpf' : '../bpf'
  return fileURLToPath(new URL(`${folder}/${name}.bpf.o`, import.meta.url))
}
