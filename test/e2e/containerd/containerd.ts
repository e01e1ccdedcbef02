// A containerd of the test's own: its folders and its socket are below one temporary folder, and it lives in the network
// namespace of a node.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Chained } from '#/settings/cni-chain.ts'
import { messageOf } from '#/lib/log.ts'
import { tailOf } from '#/lab/processes.ts'
import { Netns } from '#/sys/netns.ts'
import { eventually, must } from '../harness.ts'
import { installPlugins } from './conflist.ts'
import { CriClient, type PortMapping } from './cri-client.ts'
import { cgroupOf, cgroups, markOf, mounts, processes, shims, sweep, sweepShims } from './leftovers.ts'
import { buildPauseImage, pauseImage } from './pause-image.ts'

export type ContainerdOptions = {
  /** Path of the node's network namespace. */
  readonly netns: string
  /** Where the CNI plugin finds the node's agent. */
  readonly cniSocket: string
  readonly cniSpool: string
  /** The plugins after ours. */
  readonly chain: readonly Chained[]
}

export type PodWishes = {
  readonly portMappings?: readonly PortMapping[]
  readonly annotations?: Readonly<Record<string, string>>
}

const startTimeoutMs = 90_000
const stopTimeoutMs = 30_000
const shimsEndMs = 2_000
/** They need devices or modules of the kernel. */
const unusedPlugins = ['aufs', 'btrfs', 'devmapper', 'zfs'].map((name) => `io.containerd.snapshotter.v1.${name}`)

function configOf(dir: string): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"'
  return `version = 2
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ${JSON.stringify(unusedPlugins)}
[grpc]
address = "${dir}/containerd.sock"
[timeouts]
"io.containerd.timeout.shim.load" = "60s"
"io.containerd.timeout.shim.cleanup" = "60s"
"io.containerd.timeout.task.state" = "60s"
[plugins."io.containerd.internal.v1.opt"]
path = "${dir}/opt"
[${cri}]
sandbox_image = "${pauseImage}"
netns_mounts_under_state_dir = true
restrict_oom_score_adj = true
[${cri}.cni]
bin_dir = "${dir}/cni/bin"
conf_dir = "${dir}/cni/net.d"
[${cri}.containerd]
snapshotter = "native"
[${cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
Root = "${dir}/runc"
`
}

export class Containerd implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'causeway-containerd-'))
  readonly cri = new CriClient(join(this.dir, 'containerd.sock'))
  readonly #options: ContainerdOptions
  readonly #runs = new Set<Promise<string>>()
  #process: ChildProcess | undefined

  private constructor(options: ContainerdOptions) {
    this.#options = options
    writeFileSync(join(this.dir, 'config.toml'), configOf(this.dir))
    installPlugins(join(this.dir, 'cni/bin'), join(this.dir, 'cni/net.d'), options.chain)
  }

  /** Starts one that is ready and has the image of the sandboxes. */
  static async start(options: ContainerdOptions): Promise<Containerd> {
    await using failure = new AsyncDisposableStack()
    const containerd = failure.use(new Containerd(options))
    await containerd.launch()
    await containerd.#importImage()
    failure.move()
    return containerd
  }

  get #logFile(): string {
    return join(this.dir, 'containerd.log')
  }

  /** Starts it, or starts it again on the same folders. */
  async launch(): Promise<void> {
    const { netns: path, cniSocket, cniSpool } = this.#options
    using netns = new Netns(path)
    const log = openSync(this.#logFile, 'a')
    const env = {
      ...process.env,
      ...markOf(this.dir),
      CAUSEWAY_CNI_SOCKET: cniSocket,
      CAUSEWAY_CNI_SPOOL: cniSpool,
      // nobody tries again here as kubelet would, and on a busy machine an agent that was killed may take that long to be back
      CAUSEWAY_CNI_WAIT_MS: '60000',
    }
    this.#process = netns.run(() =>
      spawn('containerd', ['--config', join(this.dir, 'config.toml')], { stdio: ['ignore', log, log], env }),
    )
    closeSync(log)
    await this.#until('containerd is not ready', startTimeoutMs, async () => {
      const conditions = await this.cri.conditions()
      return conditions.length > 0 && conditions.every(({ status }) => status)
    })
  }

  async #importImage(): Promise<void> {
    const dir = join(this.dir, 'image')
    mkdirSync(dir)
    const address = join(this.dir, 'containerd.sock')
    const command = `ctr --address ${address} --namespace k8s.io images import --snapshotter native`
    must('sh', '-c', `${command} ${buildPauseImage(dir)}`)
    await this.#until(`CRI does not see image ${pauseImage}`, startTimeoutMs, () => this.cri.hasImage(pauseImage))
  }

  async #until(what: string, timeoutMs: number, probe: () => Promise<boolean>): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      const found = await probe().catch(messageOf)
      if (found === true) return
      if (performance.now() > deadlineMs)
        assert.fail(`${what} after ${timeoutMs} ms (${found}); its log ends with:\n${tailOf(this.#logFile, 10)}`)
      await sleep(20)
    }
  }

  /** Runs a sandbox for a pod of this name in namespace `default`; returns the sandbox's id. */
  async run(name: string, { portMappings = [], annotations = {} }: PodWishes = {}): Promise<string> {
    const run = this.cri.run({
      metadata: { name, uid: `${basename(this.dir)}-${name}`, namespace: 'default', attempt: 0 },
      hostname: name,
      logDirectory: join(this.dir, 'log', name),
      portMappings,
      annotations,
      linux: { cgroupParent: cgroupOf(this.dir) },
    })
    this.#runs.add(run)
    return run
  }

  /** Stops and removes a sandbox, as kubelet does at the end of a pod. */
  async end(id: string): Promise<void> {
    await this.cri.stop(id)
    await this.cri.remove(id)
  }

  /** Stops and removes all that it knows. */
  async endAll(): Promise<void> {
    await Promise.all((await this.cri.list()).map(({ id }) => this.end(id)))
  }

  /** The network namespaces of its sandboxes. */
  netnsPaths(): string[] {
    return mounts(join(this.dir, 'state/io.containerd.grpc.v1.cri/netns'))
  }

  /** Ends what it began just before it was killed and has forgotten; needs that it has no sandbox. */
  async endForgottenShims(): Promise<void> {
    assert.deepEqual(await this.cri.list(), [])
    const isGone = () => {
      const { pids, containers } = shims(this.dir)
      return pids.length + containers.length === 0
    }
    // those of sandboxes that were just removed end by themselves
    const deadlineMs = performance.now() + shimsEndMs
    while (!isGone() && performance.now() < deadlineMs) await sleep(20)
    await eventually('the forgotten shims are gone', () => {
      sweepShims(this.dir)
      return isGone()
    })
  }

  /** SIGKILL to itself alone: its shims and containers live on. */
  async kill(): Promise<void> {
    await this.#stop('SIGKILL')
  }

  get #isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || !this.#isRunning) return
    const ended = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await ended
    clearTimeout(timer)
  }

  async #removeSandboxes(): Promise<void> {
    // one that is still being made is not in the list yet
    await Promise.allSettled(this.#runs)
    if (!this.#isRunning) await this.launch()
    await this.endAll()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // what it does not remove is swept: to throw here would hide the error of the test
    if (this.#runs.size > 0) await this.#removeSandboxes().catch(() => {})
    this.cri[Symbol.dispose]()
    await this.#stop('SIGTERM')
    await eventually(`nothing of ${this.dir} is left`, () => {
      sweep(this.dir)
      return processes(this.dir).length + mounts(this.dir).length + cgroups(this.dir).length === 0
    })
    rmSync(this.dir, { recursive: true, force: true })
  }
}
