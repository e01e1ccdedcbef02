// `causeway policy`: network policies, what they select, what decides about two ends, and what was denied.
import { agentOptionsBesidesNamespace, agentOptionsNote, answersOf } from './agents.ts'
import { renderAnswers } from './answers.ts'
import { noMore, options, type OptionTable, UsageError } from './args.ts'
import { type Action, type Group } from './command.ts'
import { print, printJson, tableWidth } from './output.ts'
import { renderPolicies } from './policy-list-text.ts'

const listOptions = {
  namespace: { type: 'string', value: 'NAME', short: 'n', help: 'policies and pods of one namespace' },
  ...agentOptionsBesidesNamespace,
} as const satisfies OptionTable

const listCommand: Action = {
  name: 'list',
  summary: 'show policies, what they select, and what their rules have decided',
  operands: '[POD]',
  about: `POD is NAMESPACE/NAME, or NAME of a pod in the namespace default, or of the only one. PODS of a policy are those of the cluster that it selects, HERE those of them on the nodes that were asked. ALLOWED and DENIED are connections that its rules have decided about; DENIED of pods are packets, of all pods with the same policies. With a pod or a namespace every rule is shown. Exit status 1 when an agent does not answer, or policies are not enforced.

${agentOptionsNote}`,
  options: listOptions,
  run: async (args) => {
    const { values, positionals } = options(args, listOptions)
    const [pod, ...more] = positionals
    noMore(more)
    const answers = await answersOf(values, 'policyList')
    const reports = answers.flatMap(({ value }) => (value === undefined ? [] : [value]))
    const text = renderPolicies(reports, { pod, namespace: values.namespace }, tableWidth())
    if (text === undefined && reports.length > 0)
      throw new UsageError(`no pod of these nodes is ${pod}; causeway policy list shows all`)
    const silent = answers.filter(({ value }) => value === undefined)
    if (values.json) printJson(answers)
    else {
      if (reports.length > 0) print(text ?? '')
      if (silent.length > 0) print(renderAnswers(silent, () => ''))
    }
    return answers.every(({ value }) => value?.state.kind === 'enforced' || value?.state.kind === 'off') ? 0 : 1
  },
}

export const policyCommand: Group = {
  name: 'policy',
  summary: 'show network policies, and say what decides about two ends',
  about: `NetworkPolicy and ClusterNetworkPolicy, as agents enforce them. Alone it does what list does.

${agentOptionsNote}`,
  verbs: {
    why: async () => (await import('./policy-why.ts')).whyCommand,
    list: async () => listCommand,
    denials: async () => (await import('./policy-denials.ts')).denialsCommand,
  },
  bare: listCommand,
}
