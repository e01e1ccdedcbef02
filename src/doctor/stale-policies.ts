// Which findings keep a node from enforcing policies as they are now. Pure.
import { type Finding } from './types.ts'

/** The agent does not answer, or does not hear from the API; and all that is told of policies (33xx), but for a full table of connections. */
const keeps = ({ code }: { readonly code: string }): boolean =>
  code === 'CW6001' || code === 'CW6002' || (code.startsWith('CW33') && code !== 'CW3304')

/** Why one of these nodes may let pass what a policy denies, as far as doctor has found it. */
export function keptFromPolicies(findings: readonly Finding[], nodes: readonly string[]): Finding | undefined {
  return findings.find(
    (finding) => (keeps(finding) || finding.explains.some(keeps)) && finding.nodes.some((node) => nodes.includes(node)),
  )
}
