// Labs for tests: each has a name of its own, is used through the command line as a user would, and is always taken down.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '#/cluster/connect.ts'
import { nodeStatusPath } from '#/cluster/paths.ts'
import { messageOf } from '#/lib/log.ts'
import { labProcesses } from '#/lab/processes.ts'
import { lostIn, sentIn } from '../ping-output.ts'

export const causeway = new URL('../../causeway', import.meta.url).pathname

export type Run = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

export function run(command: string, args: readonly string[], env: Record<string, string> = {}): Run {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } })
  return { status, stdout, stderr }
}

/** Runs a command that must succeed; returns what it printed. */
export function must(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = run(command, args)
  assert.equal(status, 0, `${command} ${args.join(' ')} exited ${status}: ${stdout}${stderr}`)
  return stdout
}

type Probe = {
  from: string
  to: string
  family: number
  protocol: string
  ok: boolean
  outcome: string
  problem?: string
}
export type UpReport = {
  readonly nodes: { name: string; podCIDRs: string[]; datapath: string }[]
  readonly pods: { name: string; node: string; addrs: string[] }[]
  readonly probes: Probe[]
}

let count = 0

export class TestLab implements Disposable {
  readonly name: string

  constructor() {
    count += 1
    this.name = `t${process.pid % 100_000}x${count}`
  }

  /** Brings the lab up and returns its report; every probe must have arrived. */
  up(...options: readonly string[]): UpReport {
    const text = must(causeway, 'lab', 'up', '--name', this.name, '--json', ...options)
    const report = JSON.parse(text) as UpReport
    assert.deepEqual(
      report.probes.filter(({ ok }) => !ok),
      [],
    )
    return report
  }

  get kubeconfig(): string {
    return `/run/causeway-lab/${this.name}/kubeconfig`
  }

  kubectl(...args: readonly string[]): string {
    return must('kubectl', '--kubeconfig', this.kubeconfig, ...args)
  }

  /** A node's status.addresses, which Debian's kubectl of 1.20 cannot write. */
  async patchAddresses(node: string, addresses: unknown): Promise<void> {
    await using client = await connect({ kubeconfig: this.kubeconfig })
    await client.patch(nodeStatusPath(node), { status: { addresses } }, 'merge')
  }

  /** A command inside of a node or, with "pod-default-web-1", of a pod. */
  inside(place: string, ...command: readonly string[]): Run {
    return run('ip', ['netns', 'exec', `cw-${this.name}-${place}`, ...command])
  }

  mustInside(place: string, ...command: readonly string[]): string {
    return must('ip', 'netns', 'exec', `cw-${this.name}-${place}`, ...command)
  }

  /** Process ids of the lab's processes whose role begins with `role`. */
  pids(role: string): number[] {
    return labProcesses(this.name).flatMap((process) => (process.role.startsWith(role) ? [process.pid] : []))
  }

  /** kill -9. */
  kill(role: string): void {
    const pids = this.pids(role)
    assert.ok(pids.length > 0, `no process of role ${role}`)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
  }

  /** Starts a node's agent alone, without what else the lab would bring back; the caller ends it. */
  startAgent(node: string): ChildProcess {
    const dir = `/run/causeway-lab/${this.name}/nodes/${node}`
    return spawn('ip', ['netns', 'exec', `cw-${this.name}-${node}`, causeway, 'agent'], {
      stdio: 'ignore',
      env: {
        ...process.env,
        CAUSEWAY_LAB: this.name,
        CAUSEWAY_LAB_ROLE: `agent-${node}`,
        CAUSEWAY_NODE_NAME: node,
        CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48',
        CAUSEWAY_STATE_DIR: `${dir}/state`,
        CAUSEWAY_RUN_DIR: `${dir}/run`,
        CAUSEWAY_KUBECONFIG: `/run/causeway-lab/${this.name}/node.kubeconfig`,
        CAUSEWAY_BPF_DIR: `/run/causeway-lab/${this.name}/bpf/${node}`,
      },
    })
  }

  /** What a node's agent answers on its socket, whatever the status. */
  askAgent(node: string, path: string): string {
    const socket = `/run/causeway-lab/${this.name}/nodes/${node}/run/agent.sock`
    return this.mustInside(node, 'curl', '-s', '--unix-socket', socket, `http://agent${path}`)
  }

  /** An echo's answer on TCP 8080: who answered and which source it saw. */
  ask(place: string, addr: string): { pod: string; source: string } {
    const script = `exec 3<>/dev/tcp/${addr}/8080; echo probe >&3; head -n 1 <&3`
    return JSON.parse(this.mustInside(place, 'timeout', '20', 'bash', '-c', script)) as { pod: string; source: string }
  }

  [Symbol.dispose](): void {
    for (const ping of pings) ping.kill('SIGKILL')
    must(causeway, 'lab', 'down', '--name', this.name)
  }
}

/** Pings that run: also of a test that fails none is left. */
const pings = new Set<ChildProcess>()

/** After the last packet ping waits for hardly longer than the time between two: that many more are sent, and not judged. */
const notJudged = 50

const linesOf = (output: string): number => output.split('\n').length

/** Pings in the background; `finish` tells how many of the packets were lost, `stop` also of so many as there were until then. */
export function countPackets(netns: string, addr: string, packets: number, intervalSeconds: number) {
  const limit = Number.isFinite(packets) ? ['-c', String(packets + notJudged)] : []
  const options = ['-n', '-W', '1', '-i', String(intervalSeconds), ...limit]
  const child = spawn('ip', ['netns', 'exec', netns, 'ping', ...options, addr])
  pings.add(child)
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const { promise, resolve } = Promise.withResolvers<void>()
  child.on('close', () => {
    pings.delete(child)
    resolve()
  })
  const sentPackets = async (): Promise<number> => {
    await promise
    const sent = sentIn(output)
    assert.ok(sent !== undefined && sent > notJudged, `ping told nothing, or too little: ${output}`)
    return sent - notJudged
  }
  const judge = (sent: number) => ({ sent, lost: lostIn(output, sent).length })
  return {
    async finish(): Promise<{ sent: number; lost: number }> {
      assert.equal(await sentPackets(), packets, `ping ended early: ${output}`)
      return judge(packets)
    },
    async stop(): Promise<{ sent: number; lost: number }> {
      // on a quick machine what is watched may be over before enough was sent to be judged
      await eventually('enough packets', () => !pings.has(child) || linesOf(output) > 2 * notJudged)
      child.kill('SIGINT')
      return judge(await sentPackets())
    },
  }
}

/**
 * Polls until `probe` is true, which may also throw meanwhile; fails naming `what` after a while, long because the machine may be
 * busy: no test shows by it how fast something is.
 */
export async function eventually(
  what: string,
  probe: () => boolean | Promise<boolean>,
  timeoutMs = 90_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const isLast = performance.now() > deadlineMs
    let problem = ''
    try {
      if (await probe()) return
    } catch (error) {
      problem = `: ${messageOf(error)}`
    }
    if (isLast) assert.fail(`${what}: not within ${timeoutMs} ms${problem}`)
    await sleep(50)
  }
}
