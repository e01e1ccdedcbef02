// Where the eBPF programs are: beside the bundle, for a clone, for the image and for sources run as they are alike.

/** The object file that `setup.sh ebpf` compiles. */
export function bpfObjectPath(): string {
  return new URL('../../build/bpf/datapath.bpf.o', import.meta.url).pathname
}
