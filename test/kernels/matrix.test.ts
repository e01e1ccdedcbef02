// Pods reach each other on this kernel, with each datapath, in each routing and both families.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datapaths, KernelLab } from './kernel-lab.ts'

for (const routing of ['vxlan', 'native'] as const)
  test(`${routing}: every pod reaches every other, with each datapath on all nodes or on some`, async () => {
    using lab = new KernelLab()
    for (const datapath of [...datapaths, 'mixed']) {
      const { probes, nodes } = await lab.start('--routing', routing, '--datapath', datapath)
      assert.equal(probes.length, 6 * 5 * 2 * 2)
      const names = nodes.map((node) => node.datapath).toSorted()
      const mixed = ['bridge', 'ebpf', 'ebpf']
      assert.deepEqual(names, datapath === 'mixed' ? mixed : nodes.map(() => datapath))
      await lab.sizesCross(routing)
      await lab.bytesArrive(4 << 20)
    }
  })

test('auto: of two subnets it takes the tunnel across, and the native way inside', async () => {
  using lab = new KernelLab()
  for (const datapath of datapaths) {
    await lab.start('--subnets', '2', '--routing', 'auto', '--pods', '1', '--datapath', datapath)
    const way = (cidr: string) => lab.mustInside('node-1', 'ip', 'route', 'show', cidr)
    assert.match(way('10.244.1.0/24'), /dev cw-vxlan/, 'node-2 is on the other subnet')
    assert.match(way('10.244.2.0/24'), /via 172\.30\.1\.13 dev eth0/, 'node-3 is on the same')
    await lab.sizesCross('vxlan')
    await lab.bytesArrive(1 << 20)
  }
})
