// Datapath and routing of a running lab change while packets and connections are under way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KernelLab } from './kernel-lab.ts'

test('datapath and routing change back and forth: no packet is lost, and no connection ends', async () => {
  using lab = new KernelLab()
  await lab.start('--nodes', '2', '--pods', '1', '--routing', 'vxlan', '--datapath', 'ebpf')
  const pings = lab.startPings(0.05)
  const transfers = lab.startTransfers()
  for (const [mode, datapath] of [
    ['vxlan', 'bridge'],
    ['native', 'bridge'],
    ['native', 'ebpf'],
    ['vxlan', 'ebpf'],
    ['native', 'ebpf'],
    ['native', 'bridge'],
  ] as const)
    await lab.change(mode, datapath)
  await transfers.stop()
  for (const ping of pings) {
    const { sent, lost } = await ping.stop()
    assert.equal(lost, 0, `of ${sent}`)
  }
})
