// A node whose CNI calls come in as a runtime's do: through the shim's executable, the socket, the agent's server. And the
// part of libcni that carries out a chain of plugins.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { CniServer } from '#/agent/cni/server.ts'
import { silent } from '#/lib/log.ts'
import { PodNode } from '../netns/pod-node.ts'

const shim = new URL('../../build/causeway-cni', import.meta.url).pathname
const debianPlugins = '/usr/lib/cni'

export type PluginConfig = {
  readonly type: string
  readonly capabilities?: Readonly<Record<string, boolean>>
} & Readonly<Record<string, unknown>>
export type Chain = { readonly cniVersion: string; readonly plugins: readonly PluginConfig[] }
export type Pod = { readonly id: string; readonly netns: string; readonly ifName?: string }
export type Json = Record<string, unknown>
export type Outcome = { readonly status: number | null; readonly output: string }

export class CniNode implements AsyncDisposable {
  readonly node = new PodNode()
  readonly #socketPath = join(this.node.folder, 'cni.sock')
  readonly #spoolDir = join(this.node.folder, 'spool')
  readonly #server = new CniServer(
    { socketPath: this.#socketPath, spoolDir: this.#spoolDir },
    {
      handle: async (request) =>
        request.kind === 'status' ? this.node.status.reply() : this.node.handler.handle(request),
      log: silent,
    },
  )

  static async start(): Promise<CniNode> {
    const node = new CniNode()
    await node.#server.start()
    return node
  }

  /** Executes one plugin in the node's namespace. */
  async exec(
    plugin: string,
    command: string,
    pod: Pod,
    config: Json,
    env: Record<string, string> = {},
  ): Promise<Outcome> {
    const path = plugin === 'causeway-cni' ? shim : join(debianPlugins, plugin)
    const child = this.node.host.netns.run(() =>
      spawn(path, {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'] ?? '',
          CNI_COMMAND: command,
          CNI_CONTAINERID: pod.id,
          CNI_NETNS: pod.netns,
          CNI_IFNAME: pod.ifName ?? 'eth0',
          CNI_PATH: debianPlugins,
          CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.id}`,
          CAUSEWAY_CNI_SOCKET: this.#socketPath,
          CAUSEWAY_CNI_SPOOL: this.#spoolDir,
          ...env,
        },
      }),
    )
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
    child.stdin.on('error', () => {})
    child.stdin.end(JSON.stringify(config))
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    return { status: await ended, output: stdout || stderr }
  }

  #configOf(chain: Chain, plugin: PluginConfig, args: Json, prevResult: Json | undefined): Json {
    const { capabilities = {}, ...rest } = plugin
    const runtimeConfig = Object.fromEntries(Object.entries(args).filter(([name]) => capabilities[name]))
    return {
      ...rest,
      cniVersion: chain.cniVersion,
      name: 'causeway',
      runtimeConfig,
      ...(prevResult && { prevResult }),
    }
  }

  /** As libcni: each plugin gets the result of the one before. Returns the last one's. */
  async add(chain: Chain, pod: Pod, args: Json = {}): Promise<Json> {
    let prevResult: Json | undefined
    for (const plugin of chain.plugins) {
      const { status, output } = await this.exec(
        plugin.type,
        'ADD',
        pod,
        this.#configOf(chain, plugin, args, prevResult),
      )
      assert.equal(status, 0, `ADD of ${plugin.type}: ${output}`)
      prevResult = JSON.parse(output) as Json
    }
    return prevResult!
  }

  /** Resolves with what the first plugin that is not content says, or ''. */
  async check(chain: Chain, pod: Pod, prevResult: Json, args: Json = {}): Promise<string> {
    for (const plugin of chain.plugins) {
      const { status, output } = await this.exec(
        plugin.type,
        'CHECK',
        pod,
        this.#configOf(chain, plugin, args, prevResult),
      )
      if (status !== 0) return `${plugin.type}: ${output}`
    }
    return ''
  }

  /** In reverse, as libcni. */
  async del(chain: Chain, pod: Pod, prevResult: Json, args: Json = {}): Promise<void> {
    for (const plugin of chain.plugins.toReversed()) {
      const { status, output } = await this.exec(
        plugin.type,
        'DEL',
        pod,
        this.#configOf(chain, plugin, args, prevResult),
      )
      assert.equal(status, 0, `DEL of ${plugin.type}: ${output}`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]()
    this.node[Symbol.dispose]()
  }
}
