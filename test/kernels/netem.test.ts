// An underlay that delays, reorders, duplicates, loses and damages packets.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { lostIn } from '../ping-output.ts'
import { datapaths, KernelLab, routings } from './kernel-lab.ts'

const nodes = ['node-1', 'node-2']

/** Pings another node's pod in both families; returns what each ping printed. */
async function pings(lab: KernelLab, count: number): Promise<string[]> {
  const [from, to] = lab.pair
  const netns = `cw-${lab.name}-pod-default-${from.name}`
  return Promise.all(
    to.addrs.map(async (addr) => {
      const options = ['-n', '-c', String(count), '-i', '0.02', '-W', '2', addr]
      return text(spawn('ip', ['netns', 'exec', netns, 'ping', ...options]).stdout)
    }),
  )
}

function impair(lab: KernelLab, ...how: readonly string[]): void {
  for (const node of nodes) lab.mustInside(node, 'tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'netem', ...how)
}

/** Average of the round trips, in milliseconds. */
const averageMs = (output: string): number => Number(/= [\d.]+\/([\d.]+)\//.exec(output)?.[1])

test('over a bad underlay what arrives is what was sent, in each routing and datapath', async () => {
  using lab = new KernelLab()
  await lab.start('--nodes', '2', '--pods', '1', '--datapath', 'ebpf')
  for (const routing of routings)
    for (const datapath of datapaths) {
      await lab.change(routing, datapath)
      impair(lab, 'delay', '20ms', '10ms', 'reorder', '25%', '50%', 'duplicate', '5%')
      for (const output of await pings(lab, 100)) {
        assert.deepEqual(lostIn(output, 100), [], output)
        // netem is in the way
        assert.match(output, /\(DUP!\)/)
        assert.ok(averageMs(output) > 15, output)
      }
      await lab.bytesArrive(2 << 20)
      impair(lab, 'delay', '1ms', 'loss', '5%', 'corrupt', '3%')
      for (const output of await pings(lab, 200)) {
        const lost = lostIn(output, 200).length
        assert.ok(lost > 3 && lost < 90, `${lost} of 200 lost: ${output}`)
      }
      await lab.bytesArrive(1 << 20)
      for (const node of nodes) lab.mustInside(node, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root')
    }
})
