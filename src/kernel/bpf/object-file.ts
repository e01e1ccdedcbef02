// Where the object file of the programs is.
import { fileURLToPath } from 'node:url'

export function bpfObjectPath(): string {
  return fileURLToPath(new URL('../../../build/bpf/datapath.bpf.o', import.meta.url))
}
