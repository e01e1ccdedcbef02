// The places of a lab's files. All of them are below one folder, which `lab down` removes.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { agentSocketName } from '#/model/node-files.ts'
import { checkLabName } from './spec.ts'

const root = '/run/causeway-lab'

export class LabPaths {
  readonly lab: string
  readonly dir: string

  /** Throws LabError for what is no name of a lab: "..", say, is another folder. */
  constructor(lab: string) {
    checkLabName(lab)
    this.lab = lab
    this.dir = join(root, lab)
  }

  get spec(): string {
    return join(this.dir, 'lab.json')
  }

  get api(): string {
    return join(this.dir, 'api')
  }

  /** The kubeconfig for kubectl on this machine and for the lab's own processes. */
  get kubeconfig(): string {
    return join(this.dir, 'kubeconfig')
  }

  /** The kubeconfig for agents, with the API's address on the underlay. */
  get nodeKubeconfig(): string {
    return join(this.dir, 'node.kubeconfig')
  }

  /** The folder with one file for each pod that runs. */
  get sandboxes(): string {
    return join(this.dir, 'sandboxes')
  }

  /** The socket on which the lab's kubelet says whether all pods run. */
  get kubeletSocket(): string {
    return join(this.dir, 'kubelet.sock')
  }

  /** The folder of what is noted of faults that somebody caused on purpose. */
  get faults(): string {
    return join(this.dir, 'faults')
  }

  log(role: string): string {
    return join(this.dir, 'logs', `${role}.log`)
  }

  /** The folder of a router's configuration, sockets and pid files. */
  router(name: string): string {
    return join(this.dir, 'routers', name)
  }

  /** The folder of the sockets of a node's agent. */
  nodeRun(node: string): string {
    return join(this.dir, 'nodes', node, 'run')
  }

  /** Where a node's agent installs the CNI plugin and its configuration, as in /opt/cni and /etc/cni; nobody reads them. */
  nodeCni(node: string): { readonly bin: string; readonly conf: string } {
    const folder = join(this.nodeRun(node), 'cni')
    return { bin: join(folder, 'bin'), conf: join(folder, 'net.d') }
  }

  /** The socket of a node's agent. */
  agentSocket(node: string): string {
    return join(this.nodeRun(node), agentSocketName)
  }

  /** Where the lab's bpffs is mounted. */
  get bpffs(): string {
    return join(this.dir, 'bpf')
  }

  /** The folder of a node's programs and maps, which its agent makes. */
  nodeBpf(node: string): string {
    return join(this.bpffs, node)
  }

  nodeState(node: string): string {
    return join(this.dir, 'nodes', node, 'state')
  }
}

/** The names of all labs that have files. */
export function existingLabs(): string[] {
  try {
    return readdirSync(root).toSorted()
  } catch {
    return []
  }
}
