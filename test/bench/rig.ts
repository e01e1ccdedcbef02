// What a benchmark runs on: namespaces, an API server process, agents; all of it gone afterwards, also after a failure or
// Ctrl-C. What a killed run left is removed by the next one.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { netnsFolder, removeNetns } from '#/sys/netns.ts'
import { BenchNetns, RigError } from './netns.ts'
import { nodeAddrOf, underlayCIDR } from './nodes-of.ts'
import { type AgentOptions, BenchAgent, BenchApi, CausewayProcess } from './processes.ts'

const root = '/run/causeway-bench'
const namePrefix = 'cwbench-'

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
let isEnded = false

/** Takes away what all benchmarks that run have made; none can make anything any more. */
export async function endAll(): Promise<void> {
  isEnded = true
  await Promise.all([...rigs].map((rig) => rig[Symbol.asyncDispose]()))
}

/** Everything that one benchmark, or one round of it, makes. */
export class Rig implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()
  readonly dir = mkdtempSync(join(prepareRoot(), `${process.pid}-`))

  constructor() {
    if (isEnded) throw new RigError('the run was ended')
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
  async agent(host: BenchNetns, api: BenchApi, options: AgentOptions = {}): Promise<BenchAgent> {
    const agent = this.#stack.use(new BenchAgent(host, this.path('agent'), api.settings.nodeKubeconfig, options))
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
