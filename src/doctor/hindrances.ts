// Which findings keep a node from what it does for pods. Pure.
import { natureOf } from './ranks.ts'
import { type Finding } from './types.ts'

/** Agents do not answer. */
const ofAgents: ReadonlySet<string> = new Set(['CW6001', 'CW6003'])

/**
 * What is told of policies (33xx), but for a full table of connections; agents that do not answer, or hear nothing from the API; and what keeps the
 * API from them, of which they may not know yet.
 */
const isOfPolicies = (code: string): boolean =>
  (code.startsWith('CW33') && code !== 'CW3304') ||
  ofAgents.has(code) ||
  code === 'CW6002' ||
  natureOf(code).does.includes('api')

const ofNewPods: ReadonlySet<string> = new Set(['CW1109', 'CW3101', 'CW3109', 'CW3110', 'CW3112'])

/** New pods get no network: what is told of the CNI plugin and its configuration (30xx), of addresses, and of policies that are not known. */
const isOfNewPods = (code: string): boolean => code.startsWith('CW30') || ofNewPods.has(code) || isOfPolicies(code)

const hindrances = {
  /** to answer what is asked of its agent */
  answering: (code: string) => ofAgents.has(code),
  /** to enforce policies as they are now */
  policies: isOfPolicies,
  /** to give a pod its network */
  'new pods': isOfNewPods,
} as const

/** Why one of these nodes may not do that, as far as doctor has found it. */
export function hindranceOf(
  does: keyof typeof hindrances,
  findings: readonly Finding[],
  nodes: readonly string[],
): Finding | undefined {
  const isOne = ({ code }: { readonly code: string }): boolean => hindrances[does](code)
  return findings.find(
    (finding) => (isOne(finding) || finding.explains.some(isOne)) && finding.nodes.some((node) => nodes.includes(node)),
  )
}
