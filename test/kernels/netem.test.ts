// An underlay that delays, reorders, duplicates, loses and damages packets.
import assert from 'node:assert/strict'
import { lostIn } from '../ping-output.ts'
import { KernelLab, testInEachDatapath } from './kernel-lab.ts'

const nodes = ['node-1', 'node-2']

/** Pings another node's pod in each family; returns what ping printed. */
function pings(lab: KernelLab, count: number): string[] {
  const [from, to] = lab.pair
  return to.addrs.map(
    (addr) => lab.inPod(from, 'ping', '-n', '-c', String(count), '-i', '0.02', '-W', '2', addr).stdout,
  )
}

for (const routing of ['vxlan', 'native'])
  testInEachDatapath(`${routing} over an underlay that is bad: what arrives is what was sent`, async (options) => {
    using lab = new KernelLab()
    lab.up('--nodes', '2', '--pods', '1', '--routing', routing, ...options)
    const impair = (...how: readonly string[]) => {
      for (const node of nodes) lab.mustInside(node, 'tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'netem', ...how)
    }
    impair('delay', '20ms', '10ms', 'reorder', '25%', '50%', 'duplicate', '5%')
    for (const output of pings(lab, 100)) {
      assert.deepEqual(lostIn(output, 100), [], output)
      assert.match(output, /\(DUP!\)/, 'netem is in the way')
      assert.ok(Number(/= [\d.]+\/([\d.]+)\//.exec(output)![1]) > 15, `the delay is in the way: ${output}`)
    }
    await lab.bytesArrive(2 << 20)

    impair('delay', '1ms', 'loss', '5%', 'corrupt', '3%')
    for (const output of pings(lab, 200)) {
      const lost = lostIn(output, 200).length
      assert.ok(lost > 3 && lost < 90, `${lost} of 200 lost: ${output}`)
    }
    await lab.bytesArrive(1 << 20)

    for (const node of nodes) lab.mustInside(node, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root')
    await lab.settled()
  })
