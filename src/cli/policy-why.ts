// `causeway policy why`: what decides about a packet from one end to another, rule by rule, and the smallest change of that.
import { policyProtocols } from '#/api/schemas/policy.ts'
import { agentOptions, agentOptionsNote, type AgentAnswer, answersOf } from './agents.ts'
import { noMore, options, type OptionTable, UsageError, wholeNumber } from './args.ts'
import { renderAnswers } from './answers.ts'
import { type Action } from './command.ts'
import { print, printJson, tableWidth } from './output.ts'
import { isAllowed, whysOf } from './policy-why-merge.ts'
import { renderWhys } from './policy-why-text.ts'

const { node: _, ...everywhere } = agentOptions

const whyOptions = {
  port: { type: 'string', value: 'N', help: 'the destination port', shownDefault: 'all: says which are allowed' },
  proto: { type: 'string', value: 'P', help: 'the protocol', choices: policyProtocols, shownDefault: 'tcp' },
  ...everywhere,
} as const satisfies OptionTable

const highestPort = 65_535

function portOf(text: string): string {
  const port = wholeNumber('port', text)
  if (port > highestPort) throw new UsageError(`--port ${text}: expected 0 to ${highestPort}`)
  return String(port)
}

/** A name that nobody knows is one text, not one for each agent. */
function failureText(answers: readonly AgentAnswer<unknown>[]): string {
  return renderAnswers(answers, () => '')
}

export const whyCommand: Action = {
  name: 'why',
  summary: 'say whether one end may reach another, and which rule decides',
  operands: 'FROM TO',
  about: `FROM and TO are pods (NAMESPACE/NAME, or NAME of one in the namespace default, or of the only one), IP addresses, or names of nodes. A policy is asked after the address of a Service was translated to that of a pod: ask about one of its pods, and about the port on which that listens.

The sender's egress is told by the agent of the sender's node, the receiver's ingress by that of the receiver's, with what their kernels have now. Without --port it says which ports are allowed. Exit status 0: allowed; 1: denied, or nobody knows.

${agentOptionsNote}`,
  options: whyOptions,
  run: async (args) => {
    const { values, positionals } = options(args, whyOptions)
    const [from, to, ...more] = positionals
    if (from === undefined || to === undefined)
      throw new UsageError('why needs two ends: causeway policy why shop/web-1 db/pg-0 --port 5432')
    noMore(more)
    const { port, proto: protocol } = values
    if (protocol === 'icmp' && port !== undefined) throw new UsageError('--port: icmp has no ports')
    const asked = { from, to, ...(port !== undefined && { port: portOf(port) }), ...(protocol && { protocol }) }
    const answers = await answersOf(values, 'policyWhy', asked)
    const whys = whysOf(answers)
    if (values.json) printJson(answers)
    else print(whys.length === 0 ? failureText(answers) : renderWhys(whys, tableWidth()))
    return whys.length > 0 && whys.every(isAllowed) ? 0 : 1
  },
}
