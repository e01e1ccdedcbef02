// Answers of several agents as text: each its own block, and what several have in common said once.
import { someOf } from '#/lib/some-of.ts'
import { wrapText } from '#/lib/wrap.ts'
import { tableWidth } from './output.ts'

export type Answer<T> = { readonly node: string; readonly value?: T; readonly error?: string }

/** A failure of several nodes, which differs only in the node's name, is one line with the first as example. */
export function causes(failures: readonly { readonly node: string; readonly error: string }[]): string[] {
  const groups = Map.groupBy(failures, ({ node, error }) => error.replaceAll(node, '\0'))
  return [...groups.values()].map((group) => {
    const [first] = group
    const nodes = group.map(({ node }) => node)
    if (group.length === 1) return `${first!.node}: ${first!.error}`
    const hasOwnName = first!.error.includes(first!.node)
    return `${nodes.length} nodes (${someOf(nodes)}): ${first!.error}${hasOwnName ? ` (of ${first!.node})` : ''}`
  })
}

/** Blocks of those that answered, then a line for each reason why others did not. */
export function renderAnswers<T>(
  answers: readonly Answer<T>[],
  render: (node: string, value: T) => string,
  prefix = '',
): string {
  const blocks = answers.flatMap(({ node, value }) => (value === undefined ? [] : [render(node, value)]))
  const failures = answers.flatMap(({ node, value, error = 'no answer' }) =>
    value === undefined ? [{ node, error }] : [],
  )
  const lines = causes(failures).map((line) => wrapText(`${prefix}${line}`, prefix === '' ? tableWidth() : Infinity))
  return [...blocks, ...(lines.length > 0 ? [lines.join('\n')] : [])].join('\n\n')
}
