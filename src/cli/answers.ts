// What several agents told, as text. Pure.
import { causeLines } from '#/lib/causes.ts'
import { wrap } from '#/lib/table.ts'
import { type AgentAnswer } from './agents.ts'

/** An agent's answer that has come. */
export type Told<T> = { readonly node: string; readonly value: T }

/**
 * What each agent told, then a line for each cause why others told nothing: `silentBecause` says why what was told is not worth
 * rendering, `lineStart` stands before each of these lines.
 */
export function renderAnswers<T>(
  answers: readonly AgentAnswer<T>[],
  render: (told: Told<T>) => string,
  {
    separator = '\n\n',
    lineStart = '',
    columns = Infinity,
    silentBecause = () => undefined,
  }: {
    readonly separator?: string
    readonly lineStart?: string
    readonly columns?: number
    readonly silentBecause?: (value: T) => string | undefined
  } = {},
): string {
  const texts: string[] = []
  const silent: { subject: string; text: string }[] = []
  for (const { node, value, error } of answers) {
    const why = value === undefined ? (error ?? 'no answer') : silentBecause(value)
    if (why !== undefined) silent.push({ subject: node, text: why })
    else if (value !== undefined) texts.push(render({ node, value }))
  }
  const lines = causeLines(silent, 'nodes').map((line) => wrap(lineStart + line, columns, `${lineStart}    `))
  return [...texts, ...(lines.length === 0 ? [] : [lines.join('\n')])].join(separator)
}
