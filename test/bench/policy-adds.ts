// CNI ADD and DEL on a node whose pods have policies, beside a node of a cluster without any. Both wire the same pod namespaces in turn.
import { figure, type Goal, ratioText, type Table } from './benchmark.ts'
import { type BenchNetns } from './netns.ts'
import { callAll, type Caller, ownCaller } from './pods.ts'
import { agentAtRest, createLocalPod, createPodsElsewhere, createPoliciesOf } from './policy-load.ts'
import { policiesOfSlots } from './policy-objects.ts'
import { type Rig } from './rig.ts'
import { median, quantile, roundRatios, spread } from './stats.ts'

export type AddsSettings = {
  readonly rounds: number
  readonly pods: number
  readonly policies: number
  readonly podsElsewhere: number
}

const goalRatio = 1.2
const quietMs = 500
/** Policies are of so many kinds of pods: each pod has several. */
const slots = 20

async function callerWith(
  rig: Rig,
  name: string,
  pods: readonly BenchNetns[],
  { policies, podsElsewhere }: Pick<AddsSettings, 'policies' | 'podsElsewhere'>,
): Promise<Caller> {
  const host = rig.node(name)
  const api = await rig.api(host)
  await api.createNodes([1, 2, 3])
  const uids = new Map<string, string>()
  for (const [index, pod] of pods.entries())
    uids.set(pod.name, await createLocalPod(api, pod.name, String(index % slots)))
  await createPodsElsewhere(api, podsElsewhere, slots)
  await createPoliciesOf(api, policiesOfSlots(policies, slots))
  const agent = await rig.agent(host, api)
  await agentAtRest(agent, quietMs)
  return ownCaller(rig, host, agent.pluginEnv, { uids })
}

const rows = ['ADD one by one', 'DEL one by one', 'ADD all at once', 'DEL all at once'] as const
type Row = (typeof rows)[number]
type Samples = Record<Row, number[][]>

function measureRound(own: Caller, pods: readonly BenchNetns[], into: Samples): void {
  const added: number[] = []
  const deleted: number[] = []
  for (const pod of pods) {
    added.push(...callAll(own, 'ADD', [pod]))
    deleted.push(...callAll(own, 'DEL', [pod]))
  }
  into['ADD one by one'].push(added)
  into['DEL one by one'].push(deleted)
  into['ADD all at once'].push(callAll(own, 'ADD', pods))
  into['DEL all at once'].push(callAll(own, 'DEL', pods))
}

const none = (): Samples => ({
  'ADD one by one': [],
  'DEL one by one': [],
  'ADD all at once': [],
  'DEL all at once': [],
})

export async function measureAdds(
  rig: Rig,
  settings: AddsSettings,
  say: (line: string) => void,
): Promise<{ table: Table; goals: Goal[]; figures: Record<string, number[]> }> {
  const { rounds, pods: podCount, policies } = settings
  const pods = Array.from({ length: podCount }, (_, index) => rig.netns(`pod-${index + 1}`))
  say('two nodes, one of a cluster with policies')
  const plain = { own: await callerWith(rig, 'plain', pods, { policies: 0, podsElsewhere: 0 }), samples: none() }
  const policed = { own: await callerWith(rig, 'policed', pods, settings), samples: none() }
  for (const { own } of [plain, policed])
    for (const operation of ['ADD', 'DEL'] as const) callAll(own, operation, pods.slice(0, 1))
  for (let round = 1; round <= rounds; round++) {
    say(`calls, round ${round} of ${rounds}`)
    const sides = [plain, policed]
    for (const { own, samples } of round % 2 === 0 ? sides.toReversed() : sides) measureRound(own, pods, samples)
  }
  const outcome = rows.map((row) => {
    const [with_, without] = [policed.samples[row], plain.samples[row]]
    return { row, with_, without, ratio: median(with_.flat()) / median(without.flat()) }
  })
  return {
    table: {
      title: `CNI calls with ${policies.toLocaleString('en-US')} policies, from exec to exit, ms`,
      columns: ['call', 'with policies p50', 'p99', 'without p50', 'p99', 'ratio p50 (of rounds)'],
      rows: outcome.map(({ row, with_, without, ratio }) => [
        row,
        ...[with_, without].flatMap((all) => [median(all.flat()), quantile(all.flat(), 0.99)]).map(figure),
        ratioText(ratio, spread(roundRatios(with_, without))),
      ]),
    },
    goals: outcome
      .filter(({ row }) => row.startsWith('ADD'))
      .map(({ row, ratio }) => ({
        text: `${row}: at most ${goalRatio} of one without policies`,
        measured: `${ratio.toFixed(2)} p50`,
        isReached: ratio <= goalRatio,
      })),
    figures: Object.fromEntries(
      outcome.flatMap(({ row, with_, without }) => [
        [`${row} with policies ms`, with_.flat()],
        [`${row} without ms`, without.flat()],
      ]),
    ),
  }
}
