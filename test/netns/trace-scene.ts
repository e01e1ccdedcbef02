// A node with two pods that predicts packets' ways, and another node's namespace on its link.
import assert from 'node:assert/strict'
import { PolicyReport } from '#/agent/report/policy-report.ts'
import { livePartsOf } from '#/agent/report/predict/deps.ts'
import { tracePredictHandlers } from '#/agent/report/trace-predict.ts'
import { strictMismatchOf } from '#/api/read.ts'
import { tracePrediction, type TracePrediction, type TracePredictRequest } from '#/api/schemas/trace-predict.ts'
import { readDenied } from '#/datapath/programs.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { type PredictDeps } from '#/predict/context.ts'
import { silent } from '#/lib/log.ts'
import { TestNetns } from './namespace.ts'
import { PolicyNode } from './policy-node.ts'

export type Wish = Partial<TracePredictRequest>

/** A node with the pods web and other, and a neighbour node-2 on its link; node-3 is known, and never there. */
export class Scene implements AsyncDisposable {
  readonly node: PolicyNode
  readonly #stack = new DisposableStack()
  readonly peer = this.#stack.use(new TestNetns())
  readonly #deps: PredictDeps

  private constructor(node: PolicyNode) {
    this.node = node
    node.host.sh(`ip link set u1 netns ${this.peer.name}`)
    this.peer.sh(`ip link set u1 up; ip addr add 172.30.1.2/24 dev u1; ip addr add fd30::2/64 dev u1 nodad`)
    const { agent, policy } = node
    const report = this.#stack.use(
      new PolicyReport({
        nodeName: 'node-1',
        policy,
        deniedEarly: agent.deniedEarly,
        readDeniedEarly: () => (agent.ebpf.current === undefined ? [] : readDenied(agent.ebpf.current)),
        hasConnection: (ends) => agent.pods.hasConnection(ends),
        log: silent,
      }),
    )
    const netlink = this.#stack.use(new Netlink())
    this.#deps = {
      nodeName: 'node-1',
      verdicts: () => agent.keeper.remoteNodes?.verdicts ?? [],
      podCIDRs: () => ['10.244.1.0/24', 'fd10:244:0:1::/64'].map((text) => Prefix.parse(text)),
      clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'].map((text) => Prefix.parse(text)),
      vxlanPort: 8472,
      podDevice: () => 'cw-br0',
      ...livePartsOf({
        netlink,
        pods: () => agent.store.list(),
        netnsOf: (pod) => agent.pods.netnsOf(pod),
        ebpf: agent.ebpf,
        generation: () => agent.ebpf.current,
        policy: report.sources,
      }),
    }
  }

  static async start(datapath: 'bridge' | 'ebpf'): Promise<Scene> {
    const node = await PolicyNode.start(datapath)
    const scene = new Scene(node)
    await node.addPod('web', { app: 'web' })
    await node.addPod('other', { app: 'other' })
    await node.settle()
    return scene
  }

  get web(): TestNetns {
    return this.node.pods.get('web')!
  }

  get host(): TestNetns {
    return this.node.host
  }

  async ask(wish: Wish): Promise<TracePrediction> {
    const { src = this.node.addrOf('web'), dst = '10.244.2.9', protocol = 'tcp', ...rest } = wish
    const ports = protocol === 'icmp' ? {} : { port: '8080', sourcePort: '40000' }
    const answer = await tracePredictHandlers(this.#deps).tracePredict!({ src, dst, protocol, ...ports, ...rest })
    assert.ok('body' in answer && answer.status === 200, JSON.stringify(answer))
    assert.equal(strictMismatchOf(tracePrediction, answer.body), undefined)
    return answer.body
  }

  async obstacles(wish: Wish): Promise<string[]> {
    const { steps } = await this.ask(wish)
    return steps.flatMap(({ kind, device, code, text, isObstacle }) =>
      isObstacle ? [[kind, device, code, text].filter(Boolean).join(' ')] : [],
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stack.dispose()
    await this.node[Symbol.asyncDispose]()
  }
}
