// Where a lab keeps its files. All of it is below one folder, which `lab down` removes.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { agentSocketName } from '#/model/node-files.ts'

const root = '/run/causeway-lab'

export class LabPaths {
  readonly lab: string
  readonly dir: string

  constructor(lab: string) {
    this.lab = lab
    this.dir = join(root, lab)
  }

  get spec(): string {
    return join(this.dir, 'lab.json')
  }

  get api(): string {
    return join(this.dir, 'api')
  }

  /** For kubectl on this machine, and for the lab's own processes. */
  get kubeconfig(): string {
    return join(this.dir, 'kubeconfig')
  }

  /** For agents: the API's address on the underlay. */
  get nodeKubeconfig(): string {
    return join(this.dir, 'node.kubeconfig')
  }

  /** What is known of the pods that run: one file each. */
  get sandboxes(): string {
    return join(this.dir, 'sandboxes')
  }

  /** Where the lab's kubelet tells whether all pods run. */
  get kubeletSocket(): string {
    return join(this.dir, 'kubelet.sock')
  }

  log(role: string): string {
    return join(this.dir, 'logs', `${role}.log`)
  }

  /** A router's configuration, sockets and pid files. */
  router(name: string): string {
    return join(this.dir, 'routers', name)
  }

  /** Sockets of a node's agent. */
  nodeRun(node: string): string {
    return join(this.dir, 'nodes', node, 'run')
  }

  /** Where a node's agent answers. */
  agentSocket(node: string): string {
    return join(this.nodeRun(node), agentSocketName)
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
