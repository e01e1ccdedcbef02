// Serves the page over a simulated cluster, as `causeway ui` does. Arguments: how many nodes, and how many of them change in a round. 'address' is
// answered with where the page is, 'report' with what was since. The process ends with its parent.
import { serveUi } from '#/cli/ui/testing/served.ts'
import { SimulatedCluster } from '#/cli/ui/testing/simulated.ts'

export type UiReport = {
  readonly cpuMs: number
  readonly wallMs: number
  readonly rounds: number
  readonly residentMiB: number
  /** What making the answers of agents takes, which a real command does not do. */
  readonly simulationMs: number
}

const everyMs = 1_000
const page = new URL('../../build/bundle/web', import.meta.url).pathname

const [nodes, changing] = process.argv.slice(2).map(Number) as [number, number]
const cluster = new SimulatedCluster(nodes)
const ui = await serveUi({ agents: () => cluster.agents, page, leastPauseMs: everyMs })

let first = 0
/** Some ways break, and those of before are mended. */
function change(): void {
  for (let count = 0; count < changing; count++) {
    const [from, to] = [cluster.nodes[first % nodes]!, cluster.nodes[(first + 1) % nodes]!]
    if (from.cut.has(to.name)) from.cut.delete(to.name)
    else from.cut.add(to.name)
    first++
  }
}
setInterval(change, everyMs)

/** What the answers of one round take. */
function simulationMs(): number {
  const startUs = process.cpuUsage()
  for (const sim of cluster.nodes) JSON.stringify(cluster.summary(sim))
  const { user, system } = process.cpuUsage(startUs)
  return (user + system) / 1000
}

let since = { cpu: process.cpuUsage(), asked: cluster.asked, wallMs: performance.now() }
function report(): UiReport {
  const { user, system } = process.cpuUsage(since.cpu)
  const [asked, wallMs] = [cluster.asked - since.asked, performance.now() - since.wallMs]
  const own = simulationMs()
  since = { cpu: process.cpuUsage(), asked: cluster.asked, wallMs: performance.now() }
  return {
    cpuMs: (user + system) / 1000,
    wallMs,
    rounds: asked / nodes,
    residentMiB: process.memoryUsage().rss / (1 << 20),
    simulationMs: own,
  }
}

process.on('message', (message) => process.send!(message === 'address' ? ui.address : report()))
process.on('disconnect', () => process.exit(0))
process.send!('ready')
