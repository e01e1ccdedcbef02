// The lab's container runtime, without containers: a sandbox is a network namespace whose network the CNI plugin makes; the plugin is
// executed as containerd does it. Each sandbox is noted in a file, so that it can be taken up again and removed after any crash.
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { conflistFor } from '#/agent/cni-install/conflist.ts'
import { isHostNetwork, type Pod } from '#/model/kubernetes.ts'
import { netnsPath, removeNetns } from '#/sys/netns.ts'
import { decodeResult, latestCniVersion } from '#/wire/cni/index.ts'
import { cniSocketName, spoolFolderName } from '#/model/node-files.ts'
import { type LabPaths } from './paths.ts'
import { type CapabilityArgs, capabilityArgsOf, wantedOf } from './pod-capabilities.ts'
import { type LabNode, nodeNetns, podNetns } from './spec.ts'
import { ensureNetns } from './underlay.ts'

export type Sandbox = {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly node: string
  readonly netns: string
  /** Whether the pod lives in its node's namespace, where no plugin makes it a network. */
  readonly isHostNetwork: boolean
  /** What the pod asks of its network; DEL is told the same as ADD. */
  readonly capabilityArgs: CapabilityArgs
  /** Empty until ADD has succeeded. */
  readonly addrs: readonly string[]
}

/** What gives pods their network. */
export type SandboxNetwork = {
  /** Makes it and returns the pod's addresses. */
  add(sandbox: Sandbox): Promise<readonly string[]>
  remove(sandbox: Sandbox): Promise<void>
}

export class CniCallError extends Error {
  override name = 'CniCallError'
}

type Conflist = {
  readonly name: string
  readonly plugins: readonly [{ readonly type: string; readonly capabilities: Readonly<Record<string, boolean>> }]
}

/** The configuration that an agent installs for a runtime, without other plugins. */
const { name: network, plugins } = conflistFor([]) as unknown as Conflist
const [entry] = plugins
const callTimeoutMs = 90_000

function containerIdOf({ uid }: Pick<Sandbox, 'uid'>): string {
  return uid.replaceAll('-', '')
}

/** The CNI plugin, executed as containerd does it. */
class CniPlugin implements SandboxNetwork {
  readonly #paths: LabPaths
  readonly #plugin: string

  constructor(paths: LabPaths, plugin: string) {
    this.#paths = paths
    this.#plugin = plugin
  }

  async add(sandbox: Sandbox): Promise<readonly string[]> {
    const output = await this.#call('ADD', sandbox)
    return decodeResult(JSON.parse(output), latestCniVersion).ips.map(({ address }) => String(address))
  }

  async remove(sandbox: Sandbox): Promise<void> {
    await this.#call('DEL', sandbox)
  }

  async #call(command: 'ADD' | 'DEL', sandbox: Sandbox): Promise<string> {
    const { node, namespace, name, uid, capabilityArgs } = sandbox
    const containerId = containerIdOf(sandbox)
    const runtimeConfig = wantedOf(capabilityArgs, entry.capabilities)
    const env = {
      PATH: process.env['PATH'] ?? '',
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netnsPath(sandbox.netns),
      CNI_IFNAME: 'eth0',
      CNI_PATH: join(this.#plugin, '..'),
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${containerId};K8S_POD_UID=${uid}`,
      CAUSEWAY_CNI_SOCKET: join(this.#paths.nodeRun(node), cniSocketName),
      CAUSEWAY_CNI_SPOOL: join(this.#paths.nodeState(node), spoolFolderName),
    }
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const child = execFile(this.#plugin, { env, timeout: callTimeoutMs }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else
        reject(
          new CniCallError(
            `CNI ${command} of pod ${namespace}/${name} on ${node}: ${stdout.trim() || stderr || error.message}`,
          ),
        )
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(JSON.stringify({ ...entry, cniVersion: latestCniVersion, name: network, runtimeConfig }))
    return promise
  }
}

export class Sandboxes {
  readonly #paths: LabPaths
  readonly #network: SandboxNetwork

  /** `giver`: the path of the CNI plugin's executable, or what else gives pods their network. */
  constructor(paths: LabPaths, giver: string | ((sandboxes: Sandboxes) => SandboxNetwork)) {
    this.#paths = paths
    this.#network = typeof giver === 'string' ? new CniPlugin(paths, giver) : giver(this)
    mkdirSync(paths.sandboxes, { recursive: true })
  }

  list(): Sandbox[] {
    return readdirSync(this.#paths.sandboxes)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(this.#paths.sandboxes, name), 'utf8')) as Sandbox)
  }

  #fileOf(uid: string): string {
    return join(this.#paths.sandboxes, `${uid}.json`)
  }

  #save(sandbox: Sandbox): Sandbox {
    const path = this.#fileOf(sandbox.uid)
    writeFileSync(`${path}.new`, JSON.stringify(sandbox))
    renameSync(`${path}.new`, path)
    return sandbox
  }

  /**
   * Makes the namespace and its network; throws CniCallError with the plugin's message, and Error where the pod asks for what cannot be
   * read, or where another pod has the name of its namespace. A pod in its node's network gets the node's namespace and addresses.
   */
  async run(pod: Pod, node: LabNode): Promise<Sandbox> {
    const { uid = '', namespace = 'default', name } = pod.metadata
    const isOfNode = isHostNetwork(pod)
    const { lab } = this.#paths
    const netns = isOfNode ? nodeNetns(lab, node.name) : podNetns(lab, namespace, name)
    const capabilityArgs = isOfNode ? {} : capabilityArgsOf(pod)
    const bare = { uid, namespace, name, node: node.name, netns, isHostNetwork: isOfNode, capabilityArgs }
    if (isOfNode) return this.#save({ ...bare, addrs: node.addrs.map(String) })
    const other = this.list().find((each) => each.netns === netns && each.uid !== uid)
    if (other) throw new Error(`the namespace ${netns} is that of pod ${other.namespace}/${other.name}`)
    // saved first, so that after a crash from here on `remove` finds the sandbox
    const sandbox = this.#save({ ...bare, addrs: [] })
    ensureNetns(netns)[Symbol.dispose]()
    return this.#save({ ...sandbox, addrs: await this.#network.add(sandbox) })
  }

  /** Removes the network and the namespace. When the plugin fails, throws CniCallError and keeps the file. */
  async remove(sandbox: Sandbox): Promise<void> {
    if (!sandbox.isHostNetwork) {
      await this.#network.remove(sandbox)
      removeNetns(sandbox.netns)
    }
    rmSync(this.#fileOf(sandbox.uid), { force: true })
  }
}
