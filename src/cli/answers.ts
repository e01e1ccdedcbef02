// Answers of several agents as text: a block for each, and a line for each error that several share.
import { causeLines } from '#/lib/causes.ts'
import { wrapText } from '#/lib/wrap.ts'
import { tableWidth } from './output.ts'

export type Answer<T> = {
  readonly node: string
  readonly value?: T
  readonly error?: string
  /** NAMESPACE/NAME of the agent's pod, which is in the text of its error. */
  readonly pod?: string
}

/** Renders a block for each agent that answered, then a line for each reason why others did not. */
export function renderAnswers<T>(
  answers: readonly Answer<T>[],
  render: (node: string, value: T) => string,
  prefix = '',
): string {
  const blocks = answers.flatMap(({ node, value }) => (value === undefined ? [] : [render(node, value)]))
  const failures = answers.flatMap(({ node, value, error = 'no answer', pod }) => {
    const names = [node, ...(pod === undefined ? [] : [pod, pod.slice(pod.indexOf('/') + 1)])]
    return value === undefined ? [{ subject: node, text: error, names }] : []
  })
  const lines = causeLines(failures, 'nodes').map((line) =>
    wrapText(`${prefix}${line}`, prefix === '' ? tableWidth() : Infinity),
  )
  return [...blocks, ...(lines.length > 0 ? [lines.join('\n')] : [])].join('\n\n')
}
