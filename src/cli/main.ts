// The command line: a table of commands, and what every one of them shares: help, errors, exit status.
import { messageOf } from '#/lib/log.ts'
import { UsageError } from './args.ts'
import { type Command, print } from './command.ts'

/** Each command's code is read when it is asked for: an agent is to hold nothing of the lab in memory. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  lab: async () => (await import('./lab.ts')).labCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  plan: async () => (await import('./plan.ts')).planCommand,
  bgp: async () => (await import('./bgp.ts')).bgpCommand,
  ipam: async () => (await import('./ipam.ts')).ipamCommand,
  clean: async () => (await import('./clean.ts')).cleanCommand,
  install: async () => (await import('./install.ts')).installCommand,
  uninstall: async () => (await import('./install.ts')).uninstallCommand,
  agent: async () => (await import('./agent.ts')).agentCommand,
  controller: async () => (await import('./controller.ts')).controllerCommand,
}

async function help(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map(async (load) => load()))
  return `causeway: node-to-node networking for Kubernetes that shows its work

usage: causeway COMMAND [OPTIONS]

${all.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join('\n')}
  ${'help'.padEnd(12)}help on a command: causeway help lab

Exit status: 0 yes, 1 no or failed, 2 wrong use.`
}

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '-h' || name === '--help' || (name === 'help' && args.length === 0)) {
    print(await help())
    return name === undefined ? 2 : 0
  }
  const wanted = name === 'help' ? args[0]! : name
  const load = Object.hasOwn(commands, wanted) ? commands[wanted] : undefined
  if (load === undefined) {
    throw new UsageError(`there is no command "${wanted}"; there are ${Object.keys(commands).join(', ')}`)
  }
  const command = await load()
  if (name === 'help' || args.includes('--help') || args.includes('-h')) {
    print(command.help)
    return 0
  }
  return command.run(args)
}

// no await at the top level: the bundle is CommonJS (docs/decisions/0004-bundle.md)
void main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    console.error(`causeway: ${messageOf(error)}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
