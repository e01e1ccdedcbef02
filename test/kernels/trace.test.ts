// What this kernel tells of probes, and what a verdict makes of that: the same tests as elsewhere, once the modules are there that nothing in them would load.
import { must } from '../e2e/harness.ts'

for (const name of ['veth', 'bridge', 'vxlan', 'nf_conntrack', 'nft_chain_nat']) must('modprobe', name)
await import('../netns/trace-observer.test.ts')
await import('../netns/trace-chains.test.ts')
