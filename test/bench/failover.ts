// What is lost when a router of a rack is cut off: two routers in each rack, nodes that use both, BFD at three times 100 ms. The cut is
// at the switch, so no link of a node or a router goes down: only silence tells.
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { switchesNetns } from '#/lab/spec.ts'
import { type Netns } from '#/sys/netns.ts'
import { type Benchmark, type Effort, figure, type Result, settingsOf } from './benchmark.ts'
import { BenchLab } from './lab.ts'
import { RigError, shellIn, waitUntil } from './netns.ts'
import { Rig } from './rig.ts'
import { median } from './stats.ts'

const sizes = { smoke: { rounds: 1, pods: 2 }, full: { rounds: 5, pods: 4 } }

const intervalMs = 10
const beforeCutMs = 1_000
const afterCutMs = 2_500
/** The lab's `--bfd` asks for 100 ms, three times (src/lab/cluster-objects.ts). */
const detectionMs = 300
/** After that, routes are withdrawn and written: on this node, and at the routers of the other rack for the way back. */
const goalMs = 2 * detectionMs
const cutRouter = 'rack-1b'

type Probe = { readonly sent: number; readonly lost: number }

function ping(from: Netns, addr: string, packets: number): { finish: () => Promise<Probe> } {
  const args = ['-q', '-n', '-W', '1', '-i', String(intervalMs / 1000), '-c', String(packets), addr]
  const child = from.run(() => spawn('ping', args, { stdio: ['ignore', 'pipe', 'ignore'] }))
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const { promise, resolve } = Promise.withResolvers<void>()
  child.on('close', () => resolve())
  return {
    finish: async () => {
      await promise
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(output) ?? []
      if (sent === undefined) throw new RigError(`ping told nothing: ${output}`)
      return { sent: Number(sent), lost: Number(sent) - Number(received) }
    },
  }
}

/** Whether the node has a route over each of its rack's routers. */
function usesBoth(node: Netns): boolean {
  const routes = shellIn(node, 'ip route show proto 67')
  return routes.includes('via 172.30.1.1 ') && routes.includes('via 172.30.1.2 ')
}

async function cutOnce(lab: BenchLab, node: Netns): Promise<number[]> {
  await waitUntil('routes over both routers', () => usesBoth(node))
  const switches = lab.opened(switchesNetns(lab.name))
  const [here, there] = ['node-1', 'node-2'].map((name) => lab.pods.filter((pod) => pod.node === name))
  const packets = (beforeCutMs + afterCutMs) / intervalMs
  const probes = here!.flatMap((from) => there!.map((to) => ping(lab.pod(from.name), to.addrs[0]!, packets)))
  await sleep(beforeCutMs)
  shellIn(switches, `ip link set ${cutRouter} down`)
  try {
    const outcomes = await Promise.all(probes.map((probe) => probe.finish()))
    return outcomes.map(({ lost }) => lost * intervalMs)
  } finally {
    shellIn(switches, `ip link set ${cutRouter} up`)
  }
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, pods } = settingsOf(sizes, effort)
  await using rig = new Rig()
  const options = ['--racks', '2', '--tors', '2', '--bfd', '--nodes', '2', '--families', 'ipv4', '--routing', 'native']
  const lab = await BenchLab.up(rig, [...options, '--pods', String(pods)])
  const node = lab.node(1)
  const longest: number[] = []
  const shares: number[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    const lostMs = await cutOnce(lab, node)
    longest.push(Math.max(...lostMs))
    shares.push(lostMs.filter((ms) => ms > 0).length / lostMs.length)
  }
  const worst = Math.max(...longest)
  return {
    tables: [
      {
        title: 'One of two routers of a rack falls silent',
        columns: ['what', 'p50', 'longest'],
        rows: [
          ['flows that lost packets, %', figure(100 * median(shares)), figure(100 * Math.max(...shares))],
          ['longest gap of a flow, ms', figure(median(longest)), figure(worst)],
          [
            'as a ratio to the detection time of 300 ms',
            (median(longest) / detectionMs).toFixed(2),
            (worst / detectionMs).toFixed(2),
          ],
        ],
      },
    ],
    goals: [
      {
        text: `no flow without its packets for longer than ${goalMs} ms, twice the detection time`,
        measured: `${figure(worst)} ms`,
        isReached: worst <= goalMs,
      },
    ],
    notes: [
      `${rounds} rounds; ${pods * pods} flows between pods of two racks, a packet and its answer every ${intervalMs} ms each.`,
      'BGP with BFD at 3 x 100 ms between nodes and BIRD, BIRD and BIRD. A flow that takes the other router loses nothing.',
    ],
    figures: { 'longest gap ms': longest, 'share of flows with loss': shares },
  }
}

export const failoverBenchmark: Benchmark = {
  name: 'failover',
  summary: 'packets lost when a router of a rack falls silent, with BFD',
  run,
}
