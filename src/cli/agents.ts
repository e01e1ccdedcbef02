// Which agents a command is about: this node's, one node's of a lab, or all of a lab.
import { askAgent } from '#/agent/client.ts'
import { agentSocketName } from '#/agent/agent.ts'
import { messageOf } from '#/lib/log.ts'
import { existingLabs, LabPaths } from '#/lab/paths.ts'
import { agentSocketOf } from '#/lab/sandboxes.ts'
import { labNodes } from '#/lab/spec.ts'
import { readSpec } from '#/lab/up.ts'
import { type OptionTable, UsageError } from './args.ts'

export const agentOptions = {
  node: { type: 'string', value: 'NAME', help: 'one node of the lab', shownDefault: 'all of them' },
  lab: { type: 'string', alias: 'name', value: 'NAME', help: 'which lab, when several are up' },
  json: { type: 'boolean', help: 'for programs' },
} as const satisfies OptionTable

/** The end of every text about a command with these options. */
export const agentOptionsNote = "On a node of a real cluster, where no lab is up, it asks this node's own agent."

export type AgentPlace = { readonly node: string; readonly socketPath: string }

/** Throws UsageError when there is no such lab or node. */
export function findAgents({ lab, node }: { lab?: string | undefined; node?: string | undefined }): AgentPlace[] {
  const labs = existingLabs()
  const name = lab ?? labs[0]
  if (name === undefined) {
    if (node !== undefined) throw new UsageError(`--node ${node}: no lab is up; bring one up: causeway lab up`)
    return [
      { node: 'this node', socketPath: `${process.env['CAUSEWAY_RUN_DIR'] ?? '/run/causeway'}/${agentSocketName}` },
    ]
  }
  if (lab === undefined && labs.length > 1)
    throw new UsageError(`several labs are up (${labs.join(', ')}): say which, with --lab`)
  const paths = new LabPaths(name)
  const spec = readSpec(paths)
  if (spec === undefined) throw new UsageError(`there is no lab "${name}"; bring it up: causeway lab up --name ${name}`)
  const names = labNodes(spec).map((each) => each.name)
  if (node !== undefined && !names.includes(node))
    throw new UsageError(`--node ${node}: lab "${name}" has ${names.join(', ')}`)
  return names
    .filter((each) => node === undefined || each === node)
    .map((each) => ({ node: each, socketPath: agentSocketOf(paths, each) }))
}

export type AgentAnswer<T> = { readonly node: string; readonly value?: T; readonly error?: string }

/** Asks each agent; one that does not answer has `error`. */
export async function askAll<T>(agents: readonly AgentPlace[], path: string): Promise<AgentAnswer<T>[]> {
  return Promise.all(
    agents.map(async ({ node, socketPath }) => {
      try {
        const { status, text } = await askAgent(socketPath, path)
        if (status !== 200) return { node, error: `the agent answers ${status}: ${text.trim()}` }
        return { node, value: JSON.parse(text) as T }
      } catch (error) {
        return { node, error: `no agent answers on ${socketPath}: ${messageOf(error)}; is it running?` }
      }
    }),
  )
}
