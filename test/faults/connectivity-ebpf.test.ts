import { playAll } from './kinds.ts'
import { connectivity } from './tested.ts'

playAll('the connectivity test, eBPF and the tunnel', ['--nodes', '2', '--pods', '2', '--datapath', 'ebpf'], {
  look: connectivity,
})
