// Where the eBPF programs are: in the folder beside the bundle's, in a clone and in the image alike.
import { fileURLToPath } from 'node:url'

/** The object file that `setup.sh ebpf` compiles. */
export function bpfObjectPath(): string {
  const folder = import.meta.url.endsWith('.ts') ? '../../../build/bpf' : '../bpf'
  return fileURLToPath(new URL(`${folder}/datapath.bpf.o`, import.meta.url))
}
