// Opens the way to the agents that a command is about: of a cluster, of a lab, or of this node.
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type AgentOfNode } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { inClusterTokenPath } from '#/cluster/in-cluster.ts'
import { existingLabs, LabPaths } from '#/lab/paths.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { labNodes, type LabSpec } from '#/lab/spec.ts'
import { agentSocketIn } from '#/settings/agent-socket.ts'
import { UsageError } from '../args.ts'
import { pathsOfLab, usageErrorOf } from '../lab-options.ts'
import type { AgentAccess } from './cluster-access.ts'
import { type AgentChoice, type Source, sourceOf } from './source.ts'

/** Where these options lead, on this machine. Throws UsageError when it cannot be decided. */
export function chosenSource(choice: AgentChoice): Source {
  const home = join(homedir(), '.kube', 'config')
  const kubeconfig = process.env['KUBECONFIG'] ?? ''
  return sourceOf(choice, {
    kubeconfig: kubeconfig === '' || kubeconfig.includes(':') ? kubeconfig : resolve(kubeconfig),
    labs: existingLabs().map((name) => ({ name, kubeconfig: new LabPaths(name).kubeconfig })),
    hasAgentSocket: existsSync(agentSocketIn(process.env)),
    homeKubeconfig: existsSync(home) ? home : undefined,
    isPod: (process.env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && existsSync(inClusterTokenPath),
  })
}

function specOfLab(paths: LabPaths): LabSpec | undefined {
  try {
    return readSpec(paths)
  } catch (error) {
    throw usageErrorOf(error)
  }
}

function agentsOfLab(name: string, node: string | undefined): AgentOfNode[] {
  const paths = pathsOfLab(name)
  const spec = specOfLab(paths)
  if (spec === undefined) throw new UsageError(`there is no lab "${name}"; bring it up: causeway lab up --name ${name}`)
  const names = labNodes(spec).map((each) => each.name)
  if (node !== undefined && !names.includes(node))
    throw new UsageError(`--node ${node}: lab "${name}" has ${names.join(', ')}`)
  return names
    .filter((each) => node === undefined || each === node)
    .map((each) => ({ node: each, transport: socketTransport(paths.agentSocket(each)) }))
}

function agentOfThisNode({ node, 'agents-namespace': namespace }: AgentChoice): AgentOfNode[] {
  const option = node === undefined ? (namespace === undefined ? undefined : '--namespace') : `--node ${node}`
  if (option !== undefined)
    throw new UsageError(
      `${option}: there is no cluster to ask; use --kubeconfig FILE, or bring up a lab: causeway lab up`,
    )
  return [{ node: 'this node', transport: socketTransport(agentSocketIn(process.env)) }]
}

const atHand = (agents: readonly AgentOfNode[]): AgentAccess => ({ agents, [Symbol.asyncDispose]: async () => {} })

/** Finds the agents to ask. Rejects with UsageError when there is no such cluster, lab or node. */
export async function openAccess(choice: AgentChoice): Promise<AgentAccess> {
  const source = chosenSource(choice)
  switch (source.kind) {
    case 'lab':
      return atHand(agentsOfLab(source.name, choice.node))
    case 'node':
      return atHand(agentOfThisNode(choice))
    case 'cluster': {
      // who asks a lab or a node needs no client for Kubernetes
      const { clusterAccess } = await import('./cluster-access.ts')
      const { context, node, 'agents-namespace': namespace } = choice
      return clusterAccess({ kubeconfig: source.kubeconfig, context, node, namespace })
    }
    default:
      return source satisfies never
  }
}
