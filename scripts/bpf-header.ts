// Writes the C header of the eBPF programs. Usage: bpf-header.ts FILE
import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { bpfHeader } from '#/wire/bpf/header.ts'

writeFileSync(argv[2]!, bpfHeader())
