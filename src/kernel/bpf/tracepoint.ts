// Programs at tracepoints of the kernel, which they name by its types (BTF).
import { BPF_RAW_TRACEPOINT_OPEN } from './commands.ts'
import { mustBpf } from './error.ts'
import { BpfLink } from './link.ts'
import { type BpfProgram } from './program.ts'

/** Attaches a program to the tracepoint that it was loaded for, beside those of others. Disposing of the link ends it. Throws BpfError. */
export function attachTracepoint(program: BpfProgram): BpfLink {
  // no name: the program has it
  const { result } = mustBpf(BPF_RAW_TRACEPOINT_OPEN, [[8, 'u32', program.fd]], `attach ${program.info.name}`)
  return new BpfLink(result, `the tracepoint of ${program.info.name}`)
}
