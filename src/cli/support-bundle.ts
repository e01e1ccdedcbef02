// `causeway support-bundle`: what all agents tell, in one file.
import { lstatSync } from 'node:fs'
import { messageOf } from '#/lib/log.ts'
import { type AgentChoice, agentOptions, agentOptionsNote, withAgents } from './agents.ts'
import { noMore, options, type OptionTable, UsageError } from './args.ts'
import { writeBundle, type Written } from './bundle/write.ts'
import { type Action } from './command.ts'
import { Interrupted, Interruption } from './interruption.ts'
import { complain, print, printJson } from './output.ts'
import { Progress } from './progress.ts'
import { endedBy } from './trace-ask.ts'

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

/** Throws UsageError where the file would take the place of something that is to stay. */
function checkFree(path: string, mayReplace: boolean): void {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there === undefined) return
  // a device or a pipe would be replaced, not written to
  if (!there.isFile()) throw new UsageError(`${path} is there already, and is no file: give another name`)
  if (!mayReplace) throw new UsageError(`${path} is there already; --force writes over it`)
}

async function made(path: string, choice: AgentChoice): Promise<Written> {
  const interruption = new Interruption()
  return withAgents(choice, async (agents) => {
    using progress = new Progress(agents.length)
    const during = async (node: string, ask: () => Promise<void>): Promise<void> => progress.during(node, ask)
    try {
      const asked = agents.map((each) => ({ ...each, transport: endedBy(each.transport, interruption.signal) }))
      return await writeBundle(path, asked, during, interruption.signal)
    } catch (error) {
      if (error instanceof Interrupted) throw error
      throw new UsageError(`${path} cannot be written`, { cause: error })
    }
  })
}

function tell(path: string, { answers, silences }: Written, isJson: boolean): void {
  if (isJson) {
    printJson({ file: path, answers, silences })
    return
  }
  print(`${path}: ${answers} answers`)
  for (const { node, why } of silences) complain(`${node}: ${why}`)
}

const statusOf = ({ answers, silences }: Written): number => (answers === 0 ? 3 : silences.length > 0 ? 1 : 0)

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
    checkFree(path, values.force === true)
    try {
      const written = await made(path, values)
      tell(path, written, values.json === true)
      return statusOf(written)
    } catch (error) {
      if (error instanceof UsageError) throw error
      // a status of 1 would say that there is a file
      complain(`causeway: ${messageOf(error)}; no file was written`)
      return error instanceof Interrupted ? error.exitStatus : 3
    }
  },
}
