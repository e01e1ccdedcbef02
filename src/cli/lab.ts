// `causeway lab`: several nodes on this machine, each a network namespace with an agent of its own.
import { connect } from '#/cluster/connect.ts'
import { nodesPath, podsPath } from '#/cluster/paths.ts'
import { someOf } from '#/lib/some-of.ts'
import { wrapText } from '#/lib/wrap.ts'
import { isAgentPod } from '#/lab/agent-pods.ts'
import { labDown } from '#/lab/down.ts'
import { type LabPaths } from '#/lab/paths.ts'
import { readPolicies } from '#/lab/policies.ts'
import { labProcesses } from '#/lab/processes.ts'
import { routerRoles } from '#/lab/routers/daemons.ts'
import { labNodes } from '#/lab/spec.ts'
import { readSpec } from '#/lab/spec-file.ts'
import { agentRole, apiRole, controllerRole, kubeletRole } from '#/lab/roles.ts'
import { type KubeNode, type Pod } from '#/model/kubernetes.ts'
import { noMore, options, type OptionTable } from './args.ts'
import { type Action, type Group } from './command.ts'
import { labNameOption, pathsOfLab } from './lab-options.ts'
import { showConnectivity } from './lab-report.ts'
import { print, tableWidth } from './output.ts'

async function down(args: readonly string[]): Promise<number> {
  const { values, positionals } = options(args, labNameOption)
  noMore(positionals)
  if (process.getuid?.() !== 0) throw new Error('must run as root: it removes network namespaces; try again with sudo')
  const { processes, namespaces } = await labDown(pathsOfLab(values.name).lab)
  print(
    processes + namespaces === 0
      ? `no lab "${values.name}" is up`
      : `lab "${values.name}" is down: ${processes} processes and ${namespaces} namespaces gone`,
  )
  return 0
}

const statusOptions = {
  ...labNameOption,
  json: { type: 'boolean', help: 'for programs' },
} as const satisfies OptionTable

/** One line about missing processes, however many they are. */
export function missingText(roles: readonly string[], paths: LabPaths): string {
  const are = roles.length === 1 ? 'is' : 'are'
  return `! ${someOf(roles)} ${are} not running; see ${paths.log(roles[0]!)}, or run: causeway lab up --name ${paths.lab}`
}

async function status(args: readonly string[]): Promise<number> {
  const { values, positionals } = options(args, statusOptions)
  noMore(positionals)
  const paths = pathsOfLab(values.name)
  const spec = readSpec(paths)
  if (spec === undefined)
    throw new Error(`no lab "${values.name}" is up; bring one up: causeway lab up --name ${values.name}`)
  const running = new Set(labProcesses(values.name).map(({ role }) => role))
  const agents = labNodes(spec).map(({ name }) => agentRole(name))
  const wanted = [...routerRoles(spec), apiRole, controllerRole, kubeletRole, ...agents]
  const missing = wanted.filter((role) => !running.has(role))
  if (!values.json && missing.length > 0) print(wrapText(missingText(missing, paths), tableWidth()))
  if (missing.includes(apiRole)) return 1
  await using client = await connect({ kubeconfig: paths.kubeconfig })
  const { items: nodes } = await client.list<KubeNode>(nodesPath())
  const { items } = await client.list<Pod>(podsPath())
  const pods = items.filter((pod) => !isAgentPod(pod))
  const policies = await readPolicies(client, { nodes, pods })
  const isConnected = await showConnectivity(values.name, { nodes, pods, policies }, values.json === true)
  return isConnected && missing.length === 0 ? 0 : 1
}

const downCommand: Action = {
  name: 'down',
  summary: 'take a lab away, whatever is left of it',
  options: labNameOption,
  run: down,
}

const statusCommand: Action = {
  name: 'status',
  summary: 'show nodes and pods of a lab, and probe every pair of pods',
  about: 'Exit status 0 when all runs, every pod reaches every pod that network policies let it reach, and no other.',
  options: statusOptions,
  run: status,
}

export const labCommand: Group = {
  name: 'lab',
  summary: 'several nodes on this machine: up, down, status, break, mend',
  verbs: {
    up: async () => (await import('./lab-up.ts')).labUpCommand,
    down: async () => downCommand,
    status: async () => statusCommand,
    break: async () => (await import('./lab-break.ts')).breakCommand,
    mend: async () => (await import('./lab-break.ts')).mendCommand,
    'serve-api': async () => (await import('./lab-serve.ts')).serveApiCommand,
    'serve-pods': async () => (await import('./lab-serve.ts')).servePodsCommand,
  },
}
