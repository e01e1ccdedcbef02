// What of a diagnosis is about one node. Pure.
import { type Diagnosis } from './types.ts'

/** What is at the node, what it tells, and what others tell of it. */
export function aboutNode({ findings, notes }: Diagnosis, node: string): Diagnosis {
  const names = new RegExp(`(?<![\\w.-])${RegExp.escape(node)}(?![\\w-])`)
  return {
    findings: findings.filter(
      ({ nodes, objects, message, consequences }) =>
        nodes.includes(node) || [...objects, message, ...consequences].some((text) => names.test(text)),
    ),
    notes: notes.filter(({ nodes }) => nodes.length === 0 || nodes.includes(node)),
  }
}
