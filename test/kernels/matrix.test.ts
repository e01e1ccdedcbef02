// Pods reach each other on this kernel, in each routing and both families.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datapaths, KernelLab } from './kernel-lab.ts'

for (const [datapath, options] of datapaths) {
  test(`${datapath}: every pod reaches every other through VXLAN, natively, and by auto`, async () => {
    using lab = new KernelLab()
    const { probes } = await lab.start('--routing', 'vxlan', ...options)
    assert.equal(probes.length, 6 * 5 * 2 * 2)
    await lab.sizesCross('vxlan')
    await lab.bytesArrive(4 << 20)
    await lab.start('--routing', 'native', ...options)
    await lab.sizesCross('native')
    await lab.bytesArrive(4 << 20)
    await lab.start('--routing', 'auto', ...options)
    await lab.sizesCross('native')
  })

  test(`${datapath}: of two subnets auto takes the tunnel across, and the native way inside`, async () => {
    using lab = new KernelLab()
    await lab.start('--subnets', '2', '--routing', 'auto', '--pods', '1', ...options)
    const way = (cidr: string) => lab.mustInside('node-1', 'ip', 'route', 'show', cidr)
    assert.match(way('10.244.1.0/24'), /dev cw-vxlan/, 'node-2 is on the other subnet')
    assert.match(way('10.244.2.0/24'), /via 172\.30\.1\.13 dev eth0/, 'node-3 is on the same')
    await lab.sizesCross('vxlan')
  })
}
