// The processes of a benchmark: agents and controllers of the command line, an API server, a probe for stalls.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentSocketName, cniSocketName, spoolFolderName } from '#/model/node-files.ts'
import { isReady } from '../ask.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { type Prefix } from '#/lib/addr.ts'
import { tailOf } from '#/lab/processes.ts'
import { type Netns } from '#/sys/netns.ts'
import type { ApiAnswer, ApiCommand, ApiSettings } from './api-process.ts'
import { type BenchNetns, inParallel, RigError, waitUntil } from './netns.ts'
import { clusterCIDR, nodeNameOf, syntheticNode } from './nodes-of.ts'
import type { StallReport } from './stall-process.ts'

export const repository = new URL('../../', import.meta.url).pathname
const stopGraceMs = 5000
/** Creates that are under way at a time. */
const createConcurrency = 16

/** How `./causeway` of a clone runs the command line. */
function causewayOf(clone: string): string[] {
  return ['sh', join(clone, 'scripts/run.sh'), 'build/bundle/causeway.cjs']
}

export function pluginOf(clone: string): string {
  return join(clone, 'build/causeway-cni')
}

export const causeway = causewayOf(repository)
export const causewayPlugin = pluginOf(repository)

/** Ends a process that this one started. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
  await ended
  clearTimeout(timer)
}

export type ProcessUse = {
  readonly cpuMs: number
  readonly residentMiB: number
  readonly peakResidentMiB: number
}

/** USER_HZ, in which /proc counts CPU time on every architecture. */
const ticksPerSecond = 100

/** What a process has used so far: proc(5), stat and status. */
export function useOf(pid: number): ProcessUse {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mebibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return {
    cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond,
    residentMiB: mebibytes('VmRSS'),
    peakResidentMiB: mebibytes('VmHWM'),
  }
}

/** The CPU time of a process so far, of all its threads that are there now, to the microsecond: proc(5), schedstat. */
export function cpuMsOf(pid: number): number {
  const threads = `/proc/${pid}/task`
  return readdirSync(threads).reduce((sum, thread) => {
    try {
      return sum + Number(readFileSync(`${threads}/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6
    } catch {
      // it has ended meanwhile
      return sum
    }
  }, 0)
}

/** Starts a script of this folder that answers over its IPC channel, and waits until it says that it is ready. */
export async function forkReady(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ChildProcess> {
  const child = fork(new URL(script, import.meta.url), args, {
    detached: true,
    env: { ...process.env, ...env },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const [first] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as unknown[]
  if (first !== 'ready') throw new RigError(`${script} ended with status ${String(first)}`)
  return child
}

/** Watches for stalls of an agent's event loop. */
export class StallProbe implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(agent: BenchAgent): Promise<StallProbe> {
    return new StallProbe(await forkReady('stall-process.ts', [agent.socketPath]))
  }

  /** What it saw since the last report. */
  async report(): Promise<StallReport> {
    const child = this.#child
    child.send('report')
    const ended = once(child, 'exit').then(([status]) => {
      throw new RigError(`the probe for stalls ended with status ${String(status)}`)
    })
    const [report] = (await Promise.race([once(child, 'message'), ended])) as [StallReport]
    // it ends when it is not needed any more
    ended.catch(() => {})
    return report
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child)
  }
}

/** A process of the command line, such as an agent; it dies with this process. */
export class CausewayProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly logFile: string

  constructor(options: {
    args: readonly string[]
    env: Record<string, string>
    logFile: string
    netns?: Netns
    clone?: string
  }) {
    const { args, env, logFile, netns, clone = repository } = options
    this.logFile = logFile
    const log = openSync(logFile, 'w')
    const command = ['--pdeathsig', 'KILL', '--', ...causewayOf(clone), ...args]
    // a process group of its own: Ctrl-C reaches only this process, which then ends the others in order
    const launch = () =>
      spawn('setpriv', command, {
        detached: true,
        stdio: ['ignore', log, log],
        // for profiles: CAUSEWAY_BENCH_NODE_OPTIONS="--cpu-prof --cpu-prof-dir=…"
        env: { ...process.env, NODE_OPTIONS: process.env['CAUSEWAY_BENCH_NODE_OPTIONS'] ?? '', ...env },
      })
    this.#child = netns ? netns.run(launch) : launch()
    closeSync(log)
  }

  get pid(): number {
    return this.#child.pid!
  }

  get use(): ProcessUse {
    return useOf(this.pid)
  }

  /** Throws RigError with the end of its log when it has ended by itself. */
  mustRun(): void {
    if (this.#child.exitCode !== null)
      throw new RigError(`process ended with status ${this.#child.exitCode}:\n${tailOf(this.logFile, 5)}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child)
  }
}

/** `clone`: the folder of the code that runs, where that is not this one. */
export type AgentOptions = {
  readonly clone?: string
  readonly clusterCIDRs?: readonly Prefix[]
  /** Further settings. */
  readonly env?: Readonly<Record<string, string>>
}

export class BenchAgent extends CausewayProcess {
  readonly runDir: string
  readonly stateDir: string
  readonly host: BenchNetns

  constructor(host: BenchNetns, dir: string, kubeconfig: string, options: AgentOptions) {
    const { clone = repository, clusterCIDRs, env: more = {} } = options
    const runDir = join(dir, 'run')
    const stateDir = join(dir, 'state')
    mkdirSync(dir, { recursive: true })
    const env = {
      CAUSEWAY_NODE_NAME: nodeNameOf(1),
      CAUSEWAY_CLUSTER_CIDRS: String(clusterCIDRs ?? clusterCIDR),
      CAUSEWAY_STATE_DIR: stateDir,
      CAUSEWAY_RUN_DIR: runDir,
      CAUSEWAY_KUBECONFIG: kubeconfig,
      ...more,
    }
    super({ args: ['agent'], env, logFile: join(dir, 'agent.log'), netns: host.netns, clone })
    this.runDir = runDir
    this.stateDir = stateDir
    this.host = host
  }

  get socketPath(): string {
    return join(this.runDir, agentSocketName)
  }

  /** For the CNI plugin. */
  get pluginEnv(): Record<string, string> {
    return {
      CAUSEWAY_CNI_SOCKET: join(this.runDir, cniSocketName),
      CAUSEWAY_CNI_SPOOL: join(this.stateDir, spoolFolderName),
    }
  }

  async ready(): Promise<void> {
    await waitUntil('a ready agent', async () => {
      this.mustRun()
      return isReady(this.socketPath)
    })
  }
}

/** An API server process, and a client of it. */
export class BenchApi implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly settings: ApiSettings
  readonly client: ApiClient

  private constructor(child: ChildProcess, settings: ApiSettings, client: ApiClient) {
    this.#child = child
    this.settings = settings
    this.client = client
  }

  static async start(dir: string, agentNetns: BenchNetns): Promise<BenchApi> {
    mkdirSync(dir, { recursive: true })
    const settings: ApiSettings = {
      dir,
      kubeconfig: join(dir, 'kubeconfig'),
      netnsPath: agentNetns.path,
      nodeKubeconfig: join(dir, 'node.kubeconfig'),
    }
    const child = await forkReady('api-process.ts', [JSON.stringify(settings)])
    return new BenchApi(child, settings, await connect({ kubeconfig: settings.kubeconfig }))
  }

  get use(): ProcessUse {
    return useOf(this.#child.pid!)
  }

  async #command(command: ApiCommand): Promise<ApiAnswer> {
    this.#child.send(command)
    const [answer] = (await once(this.#child, 'message')) as [ApiAnswer]
    return answer
  }

  /** From now on the agent gets nothing of what the API sends. */
  async hold(): Promise<void> {
    await this.#command('hold')
  }

  /** The agent gets all of what was held back, as fast as it reads. Returns when that began. */
  async release(): Promise<number> {
    return (await this.#command('release')).atMs
  }

  /** How many requests were answered, by method. */
  async requests(): Promise<ApiAnswer['requests']> {
    return (await this.#command('counts')).requests
  }

  /** Makes the Node objects of these numbers. */
  async createNodes(
    wanted: readonly number[],
    nodeOf: (number: number) => object = (number) => syntheticNode(number, true),
  ): Promise<void> {
    await inParallel(wanted, createConcurrency, (number) => this.client.create(nodesPath(), nodeOf(number)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]()
    await stop(this.#child)
  }
}
