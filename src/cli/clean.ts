// `causeway clean`: removes everything of Causeway's from this node's kernel.
import { clean } from '#/agent/clean/clean.ts'
import { filesToClean, pluginsOfOthers, removeFiles } from '#/agent/clean/clean-files.ts'
import { readCniInstall } from '#/agent/cni-install/config.ts'
import { askAgent } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { createLogger } from '#/lib/log.ts'
import { agentSocketIn } from '#/settings/agent-socket.ts'
import { nodeSettings } from '#/settings/agent-settings.ts'
import { readSetting } from '#/settings/setting.ts'
import { noMore, options, type OptionTable } from './args.ts'
import { type Action } from './command.ts'
import { print, printJson } from './output.ts'

async function isAgentRunning(): Promise<boolean> {
  // any answer means that an agent runs, even one of another version
  return (await askAgent(socketTransport(agentSocketIn(process.env)), 'healthz')).kind !== 'silence'
}

const cleanOptions = {
  files: {
    type: 'boolean',
    help: "also the agent's files: the CNI configuration (in CAUSEWAY_CNI_CONF_DIR), the addresses in use, the sockets, what BGP saved. The CNI plugin stays, because runtimes call it when they remove the pods that are left",
  },
  'dry-run': { type: 'boolean', help: 'show the commands, do nothing' },
  json: { type: 'boolean', help: 'for programs' },
} as const satisfies OptionTable

export const cleanCommand: Action = {
  name: 'clean',
  summary: 'remove everything of Causeway from this node',
  about: `Removes Causeway's routes, neighbour entries, devices, nftables tables and eBPF programs from the network namespace it runs in, and the programs' folder (CAUSEWAY_BPF_DIR); it knows them by their marks (docs/ownership.md) and touches nothing else. Pods of this node lose their network. Sysctls stay as they are.

Stop the agent before: it would make everything again. To take a lab down, use "causeway lab down".`,
  options: cleanOptions,
  run: async (args) => {
    const { values, positionals } = options(args, cleanOptions)
    noMore(positionals)
    const dryRun = values['dry-run'] === true
    if (process.getuid?.() !== 0) throw new Error('must run as root: it changes the kernel; try again with sudo')
    if (!dryRun && (await isAgentRunning()))
      throw new Error('the agent of this node is running and would make everything again; stop it first')
    const log = createLogger({
      level: 'error',
      write: (line) => console.error(line),
      now: () => new Date().toISOString(),
    })
    const cniInstall = readCniInstall(process.env, '')
    const stateDir = readSetting(nodeSettings.stateDir, process.env)
    const runDir = readSetting(nodeSettings.runDir, process.env)
    const files = values.files ? filesToClean({ stateDir, runDir, confDir: cniInstall?.confDir }) : []
    const others = pluginsOfOthers(files)
    if (others.length > 0)
      console.error(
        `the CNI configuration goes with what others have added to it: ${others.join(', ')}; their programs add that to the next network's`,
      )
    // the CNI configuration goes first, so that a runtime sends no pods to a network that is being removed
    if (!dryRun) removeFiles(files)
    const bpfDir = readSetting(nodeSettings.bpfDir, process.env)
    const { changes, failed, foreign } = await clean({ dryRun, bpfDir }, log)
    for (const name of foreign)
      console.error(`device ${name} stays: it has a name as Causeway gives, but Causeway did not make it`)
    const commands = [...files.map((path) => `rm -r ${path}`), ...changes.flatMap((change) => change.commands)]
    if (values.json) printJson({ commands, failed })
    else print(commands.length === 0 ? 'nothing of Causeway is here' : commands.join('\n'))
    return failed === 0 ? 0 : 1
  },
}
