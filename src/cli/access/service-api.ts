// How to reach the API of the cluster whose agents are asked: they know no Services, so the command asks about these itself.
import { pathsOfLab } from '../lab-options.ts'
import { chosenSource } from './open.ts'
import { type AgentChoice } from './source.ts'

export type ServiceApi = { readonly kubeconfig?: string; readonly context?: string }

/** Undefined where that is not known: on a node. */
export function apiFor(choice: AgentChoice): ServiceApi | undefined {
  const source = chosenSource(choice)
  const { context } = choice
  if (source.kind === 'lab') return { kubeconfig: pathsOfLab(source.name).kubeconfig }
  if (source.kind === 'node') return undefined
  return {
    ...(source.kubeconfig !== undefined && { kubeconfig: source.kubeconfig }),
    ...(context !== undefined && { context }),
  }
}
