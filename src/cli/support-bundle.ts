// `causeway support-bundle`: what all agents tell, in one file.
import { existsSync } from 'node:fs'
import { type AgentChoice, agentOptions, agentOptionsNote, withAgents } from './agents.ts'
import { noMore, options, type OptionTable, UsageError } from './args.ts'
import { writeBundle, type Written } from './bundle/write.ts'
import { type Action } from './command.ts'
import { complain, print, printJson } from './output.ts'
import { Progress } from './progress.ts'

const { node: _node, ...everywhere } = agentOptions

const bundleOptions = {
  force: { type: 'boolean', help: 'write over a file that is there' },
  ...everywhere,
} as const satisfies OptionTable

/** causeway-bundle-20250131-120000.json.gz, in the time of the world. */
function usualName(now: Date): string {
  const digits = now.toISOString().replaceAll(/[-:]|\..*/g, '')
  return `causeway-bundle-${digits.replace('T', '-')}.json.gz`
}

async function made(path: string, choice: AgentChoice): Promise<Written> {
  return withAgents(choice, async (agents) => {
    using progress = new Progress(agents.length)
    try {
      return await writeBundle(path, agents, async (node, ask) => progress.during(node, ask))
    } catch (error) {
      throw new UsageError(`${path} cannot be written`, { cause: error })
    }
  })
}

export const supportBundleCommand: Action = {
  name: 'support-bundle',
  summary: 'write what all agents tell of their nodes into one file, for doctor and trace without the cluster',
  operands: '[FILE]',
  about: `FILE is compressed lines of JSON, each what one agent answered to one request: zcat FILE | jq reads it. It has devices, addresses, routes, rules, neighbours, sysctls, firewalls with their rules, the names and addresses of pods and nodes, and names of policies. It has no secret: no payload, no environment, no keys, no connections. Only its owner may read it.

causeway trace FROM TO --bundle FILE and causeway doctor --bundle FILE work on it.

A node that does not answer is noted. Exit status 0: all nodes answered; 1: some did not, and the file is there all the same; 2: wrong use; 3: none did.

${agentOptionsNote}`,
  options: bundleOptions,
  run: async (args) => {
    const { values, positionals } = options(args, bundleOptions)
    const [path = usualName(new Date()), ...more] = positionals
    noMore(more)
    if (existsSync(path) && values.force !== true)
      throw new UsageError(`${path} is there already; --force writes over it`)
    const { answers, silences } = await made(path, values)
    if (values.json === true) printJson({ file: path, answers, silences })
    else print(`${path}: ${answers} answers`)
    if (values.json !== true) for (const { node, why } of silences) complain(`${node}: ${why}`)
    return answers === 0 ? 3 : silences.length > 0 ? 1 : 0
  },
}
