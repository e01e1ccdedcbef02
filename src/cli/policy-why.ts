// `causeway policy why`: what decides about a packet from one end to another, rule by rule, and the smallest change of that.
import { type AgentOfNode } from '#/api/client.ts'
import { policyProtocols, type PolicyWhyRequest } from '#/api/schemas/policy.ts'
import { askOfService } from './access/service-api.ts'
import { agentOptionsBesidesNamespace, agentOptionsNote, answersFrom, withAgents } from './agents.ts'
import { noMore, options, type OptionTable, UsageError, wholeNumber } from './args.ts'
import { renderAnswers } from './answers.ts'
import { type Action } from './command.ts'
import { print, printJson, tableWidth } from './output.ts'
import { type ServiceEnds, serviceEnds } from './policy-service.ts'
import { isAllowed, type WhyAnswer, whysOf } from './policy-why-merge.ts'
import { renderEach, renderWhys } from './policy-why-text.ts'

const { node: _node, ...everywhere } = agentOptionsBesidesNamespace

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

/** Of a Service with more of them only so many are asked about. */
const mostBackends = 20

/** Whether what is asked about may be a Service: agents know no name for it. */
function isUnknown(answers: readonly WhyAnswer[], to: string): boolean {
  const pairs = answers.flatMap(({ value }) => value?.pairs ?? [])
  if (pairs.length === 0) return answers.some(({ error }) => error?.includes(`"${to}" is no `))
  return pairs.every((pair) => pair.to.pod === undefined && pair.to.node === undefined)
}

function serviceLine({ service, backends }: ServiceEnds): string {
  const count = backends.length
  const shown = count > mostBackends ? `, of which ${mostBackends} are asked about` : ''
  return `Service ${service}: policies see its ends, which are ${count}${shown}`
}

export const whyCommand: Action = {
  name: 'why',
  summary: 'say whether one end may reach another, and which rule decides',
  operands: 'FROM TO',
  about: `FROM and TO are pods (NAMESPACE/NAME, or NAME of one in the namespace default, or of the only one), IP addresses, or names of nodes. TO may be a Service too, by its name or address: policies see a packet after its address was translated, so they are asked about each of its ends. Its port is that of the Service then.

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
    const isJson = values.json === true
    return withAgents(values, async (agents) => {
      const answers = await answersFrom(agents, 'policyWhy', asked)
      const ends = isUnknown(answers, to)
        ? await askOfService(values, to, (client) => serviceEnds(client, to, asked))
        : undefined
      return ends === undefined ? tell(answers, isJson) : tellOfService(agents, { asked, ends, isJson })
    })
  },
}

function tell(answers: readonly WhyAnswer[], isJson: boolean): number {
  const whys = whysOf(answers)
  if (isJson) printJson(answers)
  else print(whys.length === 0 ? renderAnswers(answers, () => '') : renderWhys(whys, tableWidth()))
  return whys.length > 0 && whys.every(isAllowed) ? 0 : 1
}

async function tellOfService(
  agents: readonly AgentOfNode[],
  { asked, ends, isJson }: { readonly asked: PolicyWhyRequest; readonly ends: ServiceEnds; readonly isJson: boolean },
): Promise<number> {
  const { port: _, ...rest } = asked
  const answers: WhyAnswer[][] = []
  for (const backend of ends.backends.slice(0, mostBackends))
    answers.push(await answersFrom(agents, 'policyWhy', { ...rest, ...backend }))
  const whys = answers.flatMap(whysOf)
  if (isJson) printJson({ service: ends.service, ends: answers })
  else print([serviceLine(ends), ...(whys.length === 0 ? [] : [renderEach(whys, tableWidth())])].join('\n\n'))
  return whys.length > 0 && whys.every(isAllowed) ? 0 : 1
}
