// Settings that all nodes must share, compared. Pure.
import { problem } from '#/model/problems.ts'
import { type NodeAnswers, type Sign } from './types.ts'

/** What makes packets of one node strange to another where it differs. */
const shared = ['CAUSEWAY_VNI', 'CAUSEWAY_VXLAN_PORT', 'CAUSEWAY_CLUSTER_CIDRS'] as const
const toldNodes = 5

/** Order and spaces in a list say nothing. */
const plain = (value: string): string =>
  value
    .split(',')
    .map((each) => each.trim())
    .toSorted()
    .join(',')

export function settingSigns(answers: readonly NodeAnswers[]): Sign[] {
  return shared.flatMap((name): Sign[] => {
    const told = answers.flatMap(({ node, facts }) => {
      const value = facts?.settings[name]
      return value === undefined ? [] : [{ node, value: plain(value) }]
    })
    const [most, ...others] = [...Map.groupBy(told, ({ value }) => value)].toSorted(
      ([, one], [, other]) => other.length - one.length,
    )
    if (most === undefined || others.length === 0) return []
    const texts = others.map(([value, nodes]) => {
      const names = nodes.slice(0, toldNodes).map(({ node }) => node)
      return `${names.join(', ')}${nodes.length > toldNodes ? ` and ${nodes.length - toldNodes} more` : ''} ${nodes.length > 1 ? 'have' : 'has'} ${value}`
    })
    const nodes = others.flatMap(([, same]) => same.map(({ node }) => node)).toSorted()
    return nodes.slice(0, 1).map((node) => ({
      ...problem(
        'CW6302',
        `setting/${name}`,
        `${texts.join('; ')}, and ${most[1].length === 1 ? most[1][0]!.node : `the other ${most[1].length}`} ${most[0]}`,
      ),
      nodes,
      extent: nodes.length === 1 ? { at: node } : {},
    }))
  })
}
