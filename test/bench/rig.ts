// What a benchmark runs on: namespaces, an API server process, agents; all of it gone afterwards, also after a failure or
// Ctrl-C. What a killed run left is removed by the next one.
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { agentSocketName, cniSocketName, spoolFolderName } from '#/agent/agent.ts'
import { askAgent } from '#/agent/client.ts'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { tailOf } from '#/lab/processes.ts'
import { createNetns, type Netns, netnsFolder, netnsPath, removeNetns } from '#/sys/netns.ts'
import type { ApiAnswer, ApiCommand, ApiSettings } from './api-process.ts'
import { clusterCIDR, nodeAddrOf, nodeNameOf, syntheticNode, underlayCIDR } from './nodes-of.ts'
import type { StallReport } from './stall-process.ts'

const root = '/run/causeway-bench'
const namePrefix = 'cwbench-'
const repository = new URL('../../', import.meta.url).pathname
const startTimeoutMs = 30_000
const pollMs = 10
const stopGraceMs = 5000
/** Creates that are under way at a time. */
const createConcurrency = 16

/** How `./causeway` runs the command line. */
export const causeway = [process.execPath, '--disable-warning=ExperimentalWarning', join(repository, 'src/cli/main.ts')]
export const causewayPlugin = join(repository, 'build/causeway-cni')

export class RigError extends Error {
  override name = 'RigError'
}

export async function waitUntil(what: string, probe: () => boolean | Promise<boolean>, timeoutMs = startTimeoutMs) {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await probe())) {
    if (performance.now() > deadlineMs) throw new RigError(`${what}: not within ${timeoutMs / 1000} s`)
    await sleep(pollMs)
  }
}

/** Runs all of `items` through `work`, `concurrency` at a time. */
export async function inParallel<T>(items: readonly T[], concurrency: number, work: (item: T) => Promise<unknown>) {
  const queue = items.values()
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

/** Runs a shell command in a namespace, which must succeed; returns what it printed. */
export function shellIn(netns: Netns, command: string): string {
  const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const
  const { status, stdout, stderr } = netns.run(() => spawnSync('sh', ['-ec', command], options))
  if (status !== 0) throw new RigError(`${command}: ${stderr.trim()}`)
  return stdout
}

/** A network namespace of a run. */
export class BenchNetns implements Disposable {
  readonly name: string
  readonly netns: Netns

  constructor(name: string) {
    this.name = name
    this.netns = createNetns(name)
    this.sh('ip link set lo up')
  }

  get path(): string {
    return netnsPath(this.name)
  }

  /** As shellIn. */
  sh(command: string): string {
    return shellIn(this.netns, command)
  }

  [Symbol.dispose](): void {
    this.netns[Symbol.dispose]()
    removeNetns(this.name)
  }
}

/** Ends a process that this one started. */
async function stop(child: ChildProcess): Promise<void> {
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
function useOf(pid: number): ProcessUse {
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

/** Starts a script of this folder that answers over its IPC channel, and waits until it says that it is ready. */
async function forkReady(script: string, args: readonly string[]): Promise<ChildProcess> {
  const child = fork(new URL(script, import.meta.url), args, {
    detached: true,
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
    this.#child.send('report')
    const [report] = (await once(this.#child, 'message')) as [StallReport]
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

  constructor(options: { args: readonly string[]; env: Record<string, string>; logFile: string; netns?: Netns }) {
    const { args, env, logFile, netns } = options
    this.logFile = logFile
    const log = openSync(logFile, 'w')
    const flags = process.env['CAUSEWAY_BENCH_NODE_FLAGS']?.split(' ') ?? []
    const command = ['--pdeathsig', 'KILL', '--', causeway[0]!, ...flags, ...causeway.slice(1), ...args]
    // a process group of its own: Ctrl-C reaches only this process, which then ends the others in order
    const launch = () =>
      spawn('setpriv', command, {
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, NODE_COMPILE_CACHE: join(repository, 'build/compile-cache'), ...env },
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

export class BenchAgent extends CausewayProcess {
  readonly runDir: string
  readonly stateDir: string
  readonly host: BenchNetns

  constructor(host: BenchNetns, dir: string, kubeconfig: string) {
    const runDir = join(dir, 'run')
    const stateDir = join(dir, 'state')
    mkdirSync(dir, { recursive: true })
    const env = {
      CAUSEWAY_NODE_NAME: nodeNameOf(1),
      CAUSEWAY_CLUSTER_CIDRS: String(clusterCIDR),
      CAUSEWAY_STATE_DIR: stateDir,
      CAUSEWAY_RUN_DIR: runDir,
      CAUSEWAY_KUBECONFIG: kubeconfig,
    }
    super({ args: ['agent'], env, logFile: join(dir, 'agent.log'), netns: host.netns })
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
      return askAgent(this.socketPath, '/readyz').then(
        ({ status }) => status === 200,
        () => false,
      )
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
  async createNodes(wanted: readonly number[], hasPodCIDR = true): Promise<void> {
    await inParallel(wanted, createConcurrency, (number) =>
      this.client.create(nodesPath(), syntheticNode(number, hasPodCIDR)),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]()
    await stop(this.#child)
  }
}

function isAlive(pid: string): boolean {
  return existsSync(`/proc/${pid}`)
}

/** Names are made of the process id of their run: what has one that is gone was left by a run that was killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(netnsFolder)) {
    const pid = name.startsWith(namePrefix) ? name.slice(namePrefix.length).split('-')[0]! : undefined
    if (pid !== undefined && !isAlive(pid)) removeNetns(name)
  }
  for (const name of readdirSync(root)) {
    if (!isAlive(name.split('-')[0]!)) rmSync(join(root, name), { recursive: true, force: true })
  }
}

function prepareRoot(): string {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  return root
}

const rigs = new Set<Rig>()
let count = 0

/** Takes away what all benchmarks that run have made. */
export async function endAll(): Promise<void> {
  await Promise.all([...rigs].map((rig) => rig[Symbol.asyncDispose]()))
}

/** Everything that one benchmark, or one round of it, makes. */
export class Rig implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()
  readonly dir = mkdtempSync(join(prepareRoot(), `${process.pid}-`))

  constructor() {
    mkdirSync(netnsFolder, { recursive: true })
    removeLeftovers()
    rigs.add(this)
    this.#stack.defer(() => rmSync(this.dir, { recursive: true, force: true }))
  }

  /** A file or folder name that was not used before. */
  path(name: string): string {
    return join(this.dir, `${++count}-${name}`)
  }

  file(name: string, text: string): string {
    const path = this.path(name)
    writeFileSync(path, text)
    return path
  }

  netns(name: string): BenchNetns {
    return this.#stack.use(new BenchNetns(`${namePrefix}${process.pid}-${++count}-${name}`))
  }

  /** A namespace like a node's: eth0 with the address of node 1, which nothing answers on. */
  node(name: string): BenchNetns {
    const node = this.netns(name)
    node.sh(`ip link add eth0 type veth peer name wire; ip link set wire up; ip link set eth0 up
      ip addr add ${nodeAddrOf(1)}/${underlayCIDR.length} dev eth0`)
    return node
  }

  async api(agentNetns: BenchNetns): Promise<BenchApi> {
    return this.#stack.use(await BenchApi.start(this.path('api'), agentNetns))
  }

  /** An agent of node 1, ready. */
  async agent(host: BenchNetns, api: BenchApi): Promise<BenchAgent> {
    const agent = this.#stack.use(new BenchAgent(host, this.path('agent'), api.settings.nodeKubeconfig))
    await agent.ready()
    return agent
  }

  process(name: string, args: readonly string[], env: Record<string, string>): CausewayProcess {
    return this.#stack.use(new CausewayProcess({ args, env, logFile: this.path(`${name}.log`) }))
  }

  /** Takes care of something else that goes with the rig. */
  defer(end: () => void | Promise<void>): void {
    this.#stack.defer(end)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rigs.delete(this)
    await this.#stack[Symbol.asyncDispose]()
  }
}
