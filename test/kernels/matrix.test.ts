// Pods reach each other on this kernel, in each routing and both families.
import assert from 'node:assert/strict'
import { KernelLab, testInEachDatapath } from './kernel-lab.ts'

testInEachDatapath('every pod reaches every other through VXLAN, natively, and by auto', async (options) => {
  using lab = new KernelLab()
  assert.equal(lab.up('--routing', 'vxlan', ...options).probes.length, 6 * 5 * 2 * 2)
  await lab.settled()
  await lab.sizesCross('vxlan')
  await lab.bytesArrive(4 << 20)
  lab.up('--routing', 'native')
  await lab.settled()
  await lab.sizesCross('native')
  await lab.bytesArrive(4 << 20)
  lab.up('--routing', 'auto')
  await lab.settled()
  await lab.sizesCross('native')
})

testInEachDatapath('on two subnets auto takes the tunnel across, and the native way inside', async (options) => {
  using lab = new KernelLab()
  lab.up('--subnets', '2', '--routing', 'auto', '--pods', '1', ...options)
  await lab.settled()
  const encapsulated = (node: string) =>
    lab.mustInside('node-1', 'ip', 'route').match(new RegExp(`^${node}.*`, 'm'))![0]
  assert.match(encapsulated('10.244.1.0/24'), /dev cw-vxlan/, 'node-2 is on the other subnet')
  assert.match(encapsulated('10.244.2.0/24'), /via 172\.30\.1\.13 dev eth0/, 'node-3 is on the same')
  await lab.sizesCross('vxlan')
})
