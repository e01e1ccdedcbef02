// Writes the C header of eBPF programs. Usage: bpf-header.ts datapath|trace FILE
import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { datapathHeader, traceHeader } from '#/wire/bpf/header.ts'

const headers = { datapath: datapathHeader, trace: traceHeader }
const [, , of, file] = argv
writeFileSync(file!, headers[of as keyof typeof headers]())
