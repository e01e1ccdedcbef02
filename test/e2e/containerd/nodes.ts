// Two nodes of a lab, each with a containerd beside its agent: what a cluster's nodes are, but for kubelet.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Chained, chainable } from '#/settings/cni-chain.ts'
import { cniSocketName, spoolFolderName } from '#/model/node-files.ts'
import { mustAnswer } from '../../ask.ts'
import { type EndpointStatus } from '#/api/schemas/status.ts'
import { LabPaths } from '#/lab/paths.ts'
import { nodeNetns } from '#/lab/spec.ts'
import { bridgeName } from '#/model/names.ts'
import { netnsPath } from '#/sys/netns.ts'
import { eventually, must, TestLab } from '../harness.ts'
import { Containerd } from './containerd.ts'
import { addressesIn } from './sandbox.ts'
import { type KernelState, kernelState, runtimeState } from './kernel-state.ts'
import { shims } from './leftovers.ts'

export type TestNode = {
  readonly name: string
  readonly addrs: readonly string[]
  readonly netnsName: string
  readonly spool: string
  readonly containerd: Containerd
}

const settleTimeoutMs = 90_000

export class RuntimeNodes implements AsyncDisposable {
  readonly nodes: TestNode[] = []
  readonly #resources = new AsyncDisposableStack()
  readonly lab = this.#resources.use(new TestLab())
  readonly #paths = new LabPaths(this.lab.name)

  /** Brings up a lab of two nodes without pods, and a containerd on as many of them as wanted. */
  static async up(runtimes: 1 | 2, chain: readonly Chained[] = chainable): Promise<RuntimeNodes> {
    await using failure = new AsyncDisposableStack()
    const made = failure.use(new RuntimeNodes())
    made.ensureAgents()
    for (let index = 1; index <= runtimes; index++) made.nodes.push(await made.#startRuntime(`node-${index}`, chain))
    failure.move()
    return made
  }

  /** Starts what does not run of the lab, so also an agent that was killed. */
  ensureAgents(): void {
    this.lab.up('--nodes', '2', '--pods', '0')
  }

  async #startRuntime(name: string, chain: readonly Chained[]): Promise<TestNode> {
    const netnsName = nodeNetns(this.lab.name, name)
    const spool = join(this.#paths.nodeState(name), spoolFolderName)
    const cniSocket = join(this.#paths.nodeRun(name), cniSocketName)
    const options = { netns: netnsPath(netnsName), cniSocket, cniSpool: spool, chain }
    const containerd = this.#resources.use(await Containerd.start(options))
    return { name, addrs: addressesIn(netnsPath(netnsName)), netnsName, spool, containerd }
  }

  async endpoints({ name }: TestNode): Promise<readonly EndpointStatus[]> {
    return (await mustAnswer(this.#paths.agentSocket(name), 'status')).endpoints
  }

  /** All that a node has, of each kind: the kernel's, the runtime's, the agent's. */
  async #stateOf(node: TestNode): Promise<KernelState> {
    return {
      ...kernelState(node.netnsName),
      ...runtimeState(node.containerd.dir),
      endpoints: await this.endpoints(node),
      spool: readdirSync(node.spool),
    }
  }

  /**
   * What a node looks like when it has no sandbox. A first sandbox with all that the chained plugins do comes and goes
   * before, because portmap keeps its own chains for ever.
   */
  async emptyState(node: TestNode): Promise<KernelState> {
    const portMappings = [{ containerPort: 1, hostPort: 1 }]
    await node.containerd.end(await node.containerd.run('first', { portMappings }))
    // the kernel tells the loss of the carrier up to a second late
    await eventually('the bridge has no port', () =>
      must('ip', '-n', node.netnsName, 'link', 'show', bridgeName).includes('NO-CARRIER'),
    )
    await eventually('nothing of the first sandbox is left', async () => {
      const { pids, containers } = shims(node.containerd.dir)
      const left = [pids, containers, await this.endpoints(node), readdirSync(node.spool)]
      return left.every(({ length }) => length === 0)
    })
    return this.#stateOf(node)
  }

  /** Fails with the difference when the node does not look so within a while. */
  async returnsTo(before: KernelState, node: TestNode): Promise<void> {
    const deadlineMs = performance.now() + settleTimeoutMs
    for (;;) {
      const now = await this.#stateOf(node)
      if (isDeepStrictEqual(now, before)) return
      if (performance.now() > deadlineMs) assert.deepEqual(now, before)
      await sleep(100)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync()
  }
}
