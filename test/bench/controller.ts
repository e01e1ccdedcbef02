// The controller: Node objects without pod CIDRs until each has one, against a client that only sends the same patches, as
// many at a time. What the controller takes longer is its own: listing, planning, electing, checking.
import { nodePath, nodesPath } from '#/cluster/paths.ts'
import { type KubeNode, podCIDRsOf } from '#/model/kubernetes.ts'
import { type Benchmark, figure, ratioText, type Effort, type Result, settingsOf } from './benchmark.ts'
import { monotonicMs } from './clock.ts'
import { clusterCIDR, nodeNameOf, numbers, podCIDROf, syntheticNode } from './nodes-of.ts'
import { inParallel, RigError, waitUntil } from './netns.ts'
import { type BenchApi } from './processes.ts'
import { Rig } from './rig.ts'
import { median, roundRatios, spread } from './stats.ts'

const sizes = { smoke: { nodes: 50, rounds: 1 }, full: { nodes: 10_000, rounds: 3 } }
/** As the controller writes (docs/controller.md). */
const patchConcurrency = 8
const timeoutMs = 300_000

type Say = (line: string) => void
type Round = {
  readonly tookMs: number
  readonly cpuMs: number
  readonly apiCpuMs: number
  readonly peakMiB: number
  readonly requests: Readonly<Record<string, number>>
}

async function withNodes<T>(count: number, measure: (rig: Rig, api: BenchApi) => Promise<T>): Promise<T> {
  await using rig = new Rig()
  const api = await rig.api(rig.node('controller'))
  await api.createNodes(numbers(1, count), (number) => syntheticNode(number, false))
  return await measure(rig, api)
}

async function checkAll(api: BenchApi, count: number): Promise<void> {
  const { items } = await api.client.list<KubeNode>(nodesPath())
  const given = new Set(items.flatMap((node) => podCIDRsOf(node).prefixes.map(String)))
  if (given.size !== count) throw new RigError(`${given.size} different pod CIDRs for ${count} nodes`)
}

/** Requests that were made since `before`. */
function since(before: Round['requests'], after: Round['requests']): Round['requests'] {
  return Object.fromEntries(Object.entries(after).map(([method, count]) => [method, count - (before[method] ?? 0)]))
}

async function controllerRound(count: number): Promise<Round> {
  return await withNodes(count, async (rig, api) => {
    const before = await api.requests()
    const apiCpuMs = api.use.cpuMs
    const startedMs = monotonicMs()
    const controller = rig.process('controller', ['controller'], {
      CAUSEWAY_CLUSTER_CIDRS: String(clusterCIDR),
      CAUSEWAY_KUBECONFIG: api.settings.kubeconfig,
    })
    const patched = async (): Promise<number> => since(before, await api.requests())['PATCH'] ?? 0
    const given = async (): Promise<boolean> => {
      controller.mustRun()
      return (await patched()) >= count
    }
    await waitUntil(`pod CIDRs for ${count} nodes`, given, timeoutMs)
    const tookMs = monotonicMs() - startedMs
    const { use } = controller
    const requests = since(before, await api.requests())
    const round = {
      tookMs,
      cpuMs: use.cpuMs,
      apiCpuMs: api.use.cpuMs - apiCpuMs,
      peakMiB: use.peakResidentMiB,
      requests,
    }
    await checkAll(api, count)
    return round
  })
}

async function referenceRound(count: number): Promise<number> {
  return await withNodes(count, async (_, api) => {
    const startedMs = monotonicMs()
    await inParallel(numbers(1, count), patchConcurrency, (number) => {
      const podCIDR = String(podCIDROf(number))
      return api.client.patch(nodePath(nodeNameOf(number)), { spec: { podCIDR, podCIDRs: [podCIDR] } }, 'merge')
    })
    return monotonicMs() - startedMs
  })
}

async function run(effort: Effort, say: Say): Promise<Result> {
  const { nodes, rounds } = settingsOf(sizes, effort)
  const ours: Round[] = []
  const reference: number[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`${nodes} nodes, round ${round} of ${rounds}`)
    if (round % 2 === 0) reference.push(await referenceRound(nodes))
    ours.push(await controllerRound(nodes))
    if (round % 2 === 1) reference.push(await referenceRound(nodes))
  }
  const tookMs = ours.map((round) => round.tookMs)
  const { requests } = ours[0]!
  const count = nodes.toLocaleString('en-US')
  const row = (what: string, value: string): string[] => [what, value]
  return {
    tables: [
      {
        title: `Pod CIDRs for ${count} nodes`,
        columns: ['what', 'value'],
        rows: [
          row('from the start of the process to the last pod CIDR, s', figure(median(tookMs) / 1000)),
          row('the bare patches alone, s', figure(median(reference) / 1000)),
          row(
            'ratio (of rounds)',
            ratioText(
              median(tookMs) / median(reference),
              spread(
                roundRatios(
                  tookMs.map((each) => [each]),
                  reference.map((each) => [each]),
                ),
              ),
            ),
          ),
          row(
            'requests',
            Object.entries(requests)
              .map(([method, number]) => `${number} ${method}`)
              .join(', '),
          ),
          row('CPU of the controller, s', figure(median(ours.map(({ cpuMs }) => cpuMs)) / 1000)),
          row('CPU of the API server meanwhile, s', figure(median(ours.map(({ apiCpuMs }) => apiCpuMs)) / 1000)),
          row('peak memory of the controller, MiB', figure(median(ours.map(({ peakMiB }) => peakMiB)))),
        ],
      },
    ],
    goals: [],
    notes: [
      `${rounds} rounds. The bare patches are sent by one client, ${patchConcurrency} at a time, as the controller sends them.`,
    ],
    figures: { 'controller ms': tookMs, 'bare patches ms': reference },
  }
}

export const controllerBenchmark: Benchmark = {
  name: 'controller',
  summary: 'pod CIDRs for 10,000 nodes, against the bare patches',
  run,
}
