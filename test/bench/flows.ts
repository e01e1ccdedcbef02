// What a path carries. Client and server run on the same one core, which is busy all the time: so a round trip is the CPU time that the
// kernel and both programs take for both directions, a datagram's time what it costs from one program to the other, and throughput the CPU
// time per byte, whatever the scheduler and the other core do.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type Netns } from '#/sys/netns.ts'
import { RigError, shellIn, waitUntil } from './netns.ts'
import { type Rig } from './rig.ts'

export type Path = { readonly from: Netns; readonly to: Netns; readonly addr: string }
export type RoundTrips = { readonly roundTripUs: number; readonly roundTripP99Us: number }
export type Flow = RoundTrips & {
  readonly connectionsPerSecond: number
  readonly gbitPerSecond: number
  readonly datagramsPerSecond: number
}

const core = '1'
/** Another one each time: sockperf cannot bind where connections of a server before it still linger. */
let lastPort = 20_000
/** sockperf's default, which fits a small request. */
const messageBytes = '14'

/** Runs `measure` while the server listens on a port in `netns`. */
async function whileServing<T>(
  netns: Netns,
  serverOn: (port: string) => readonly string[],
  measure: (port: string) => T,
): Promise<T> {
  const port = String(++lastPort)
  const server = serverOn(port)
  const child = netns.run(() =>
    spawn('taskset', ['-c', core, ...server], { stdio: ['ignore', 'pipe', 'pipe'], detached: true }),
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = once(child, 'exit')
  try {
    await waitUntil(`${server[0]} listening`, () => {
      if (child.exitCode !== null)
        throw new RigError(`${server.join(' ')} ended with status ${child.exitCode}: ${output}`)
      return shellIn(netns, `ss -Hlntu sport = :${port}`) !== ''
    })
    return measure(port)
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

function client(netns: Netns, command: readonly string[]): string {
  const { status, stdout, stderr } = netns.run(() =>
    spawnSync('taskset', ['-c', core, ...command], { encoding: 'utf8' }),
  )
  if (status !== 0) throw new RigError(`${command.join(' ')}: status ${status}: ${stderr || stdout}`)
  return stdout
}

function percentile(output: string, percent: string): number {
  const found = new RegExp(`percentile ${percent} =\\s+([\\d.]+)`).exec(output)?.[1]
  if (found === undefined) throw new RigError(`sockperf told no percentile ${percent}: ${output}`)
  return Number(found)
}

export async function measureRoundTrips({ from, to, addr }: Path, seconds: number): Promise<RoundTrips> {
  const at = (port: string): string[] => ['--tcp', '-i', addr, '-p', port]
  const wanted = ['-t', String(seconds), '-m', messageBytes, '--full-rtt']
  const output = await whileServing(
    to,
    (port) => ['sockperf', 'server', ...at(port)],
    (port) => client(from, ['sockperf', 'ping-pong', ...at(port), ...wanted]),
  )
  return { roundTripUs: percentile(output, '50.000'), roundTripP99Us: percentile(output, '99.000') }
}

async function throughput({ from, to, addr }: Path, seconds: number): Promise<number> {
  const report = await whileServing(
    to,
    (port) => ['iperf3', '-s', '-p', port],
    (port) => client(from, ['iperf3', '-J', '-c', addr, '-p', port, '-t', String(seconds)]),
  )
  const { end } = JSON.parse(report) as { end: { sum_received: { bits_per_second: number } } }
  return end.sum_received.bits_per_second / 1e9
}

type Traffic = (path: Path, kind: 'connections' | 'datagrams', seconds: number) => Promise<number>

/** Compiles traffic.c; gives the function that measures how many there are a second. */
function trafficMeter(rig: Rig): Traffic {
  const program = rig.path('traffic')
  const source = new URL('traffic.c', import.meta.url).pathname
  const { status, stderr } = spawnSync('gcc', ['-O2', '-Wall', '-o', program, source], { encoding: 'utf8' })
  if (status !== 0) throw new RigError(`gcc ${source}: ${stderr}`)
  return ({ from, to, addr }, kind, seconds) =>
    whileServing(
      to,
      (port) => [program, `serve-${kind}`, addr, port],
      (port) => Number(client(from, [program, kind, addr, port, String(seconds)])),
    )
}

/** Gives the function that measures all of a path. */
export function flowMeter(rig: Rig): (path: Path, seconds: number) => Promise<Flow> {
  const traffic = trafficMeter(rig)
  return async (path, seconds) => ({
    ...(await measureRoundTrips(path, seconds)),
    connectionsPerSecond: await traffic(path, 'connections', seconds),
    gbitPerSecond: await throughput(path, seconds),
    datagramsPerSecond: await traffic(path, 'datagrams', seconds),
  })
}

/** Gives the function that measures new connections a second. */
export function connectionMeter(rig: Rig): (path: Path, seconds: number) => Promise<number> {
  const traffic = trafficMeter(rig)
  return (path, seconds) => traffic(path, 'connections', seconds)
}
