// The roles of a lab's processes, by which they are found: processes.ts.

export const apiRole = 'api'
export const kubeletRole = 'kubelet'
export const controllerRole = 'controller'

export function agentRole(node: string): string {
  return `agent-${node}`
}
