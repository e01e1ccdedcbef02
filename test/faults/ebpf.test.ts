import { playAll } from './kinds.ts'

playAll('eBPF and the tunnel, both families', ['--nodes', '3', '--pods', '2', '--datapath', 'ebpf'])
