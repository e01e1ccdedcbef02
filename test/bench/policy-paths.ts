// What policies on the way cost the packets of an allowed connection, and new connections: pods of one node and of two, by the bridge and by
// programs, with none, some and many policies that each first packet is compared with.
import { existsSync } from 'node:fs'
import { type DatapathName } from '#/model/datapath.ts'
import { figure, type Goal, ratioText, type Table } from './benchmark.ts'
import { type Case, type Measured, measureAll } from './datapath-cases.ts'
import { connectionMeter, measureRoundTrips, type RoundTrips } from './flows.ts'
import { BenchLab } from './lab.ts'
import { RigError, shellIn } from './netns.ts'
import { agentsAtRest, clientOf, createPolicies } from './policy-lab.ts'
import { policiesOnPath } from './policy-objects.ts'
import { type Rig } from './rig.ts'
import { median, roundRatios, spread } from './stats.ts'

type Flow = RoundTrips & { readonly connectionsPerSecond: number }
/** With the bridge it matters on one node whether br_netfilter hands frames to the rules for IP, as kubeadm demands. */
type Place = 'one node' | 'one node, br_netfilter' | 'two nodes'
type Key = { readonly datapath: DatapathName; readonly place: Place; readonly policies: number }
type PolicyCase = Case & Key

export type PathsSettings = {
  readonly datapaths: readonly DatapathName[]
  readonly counts: readonly number[]
  readonly rounds: number
  readonly seconds: number
}

/** Of a namespace; there is none where the module is not loaded. */
const brNetfilterSetting = '/proc/sys/net/bridge/bridge-nf-call-iptables'

/** Round trips with policies may be so much slower. */
const mostSlower = 0.03

async function labWith(rig: Rig, datapath: DatapathName, policies: number): Promise<PolicyCase[]> {
  const shape = ['--nodes', '2', '--pods', '2', '--families', 'ipv4']
  const lab = await BenchLab.up(rig, [...shape, '--datapath', datapath])
  const other = lab.nodes.find((node) => node.datapath !== datapath)
  if (other) throw new RigError(`${other.name}: not with the datapath ${datapath}`)
  await createPolicies(await clientOf(rig, lab), policiesOnPath(policies))
  await agentsAtRest(lab)
  const [from, beside, , elsewhere] = lab.pods
  const node = lab.node(1)
  const brNetfilter = (isOn: boolean) => ({
    before: () => void shellIn(node, `echo ${isOn ? 1 : 0} >${brNetfilterSetting}`),
  })
  const caseTo = (place: Place, to: typeof from, change: Pick<Case, 'before'> = {}): PolicyCase => ({
    ...change,
    name: `${datapath}, ${place}, ${policies} policies`,
    datapath,
    place,
    policies,
    path: { from: lab.pod(from!.name), to: lab.pod(to!.name), addr: to!.addrs[0]! },
  })
  if (datapath === 'ebpf' || !existsSync(brNetfilterSetting))
    return [caseTo('one node', beside), caseTo('two nodes', elsewhere)]
  return [
    caseTo('one node', beside, brNetfilter(false)),
    caseTo('one node, br_netfilter', beside, brNetfilter(true)),
    caseTo('two nodes', elsewhere, brNetfilter(true)),
  ]
}

type Outcome = { readonly key: Key; readonly flows: readonly Flow[] }

function ratioTo(outcomes: readonly Outcome[], { key, flows }: Outcome, of: (flow: Flow) => number) {
  const base = outcomes.find(
    (each) => each.key.policies === 0 && each.key.place === key.place && each.key.datapath === key.datapath,
  )!.flows
  const each = (all: readonly Flow[]): number[][] => all.map((flow) => [of(flow)])
  return { ratio: median(flows.map(of)) / median(base.map(of)), rounds: spread(roundRatios(each(flows), each(base))) }
}

const roundTrip = ({ roundTripUs }: Flow): number => roundTripUs
const connections = ({ connectionsPerSecond }: Flow): number => connectionsPerSecond

function tableOf(outcomes: readonly Outcome[]): Table {
  return {
    title: 'Pod to pod with policies on the way; ratios to the same way without any, of rounds in brackets',
    columns: ['way', 'policies', 'round trip p50, us', 'p99', 'ratio', 'new connections a second', 'ratio'],
    rows: outcomes.map((outcome) => {
      const { key, flows } = outcome
      const trips = ratioTo(outcomes, outcome, roundTrip)
      const news = ratioTo(outcomes, outcome, connections)
      return [
        `${key.datapath}, ${key.place}`,
        key.policies.toLocaleString('en-US'),
        figure(median(flows.map(roundTrip))),
        figure(median(flows.map(({ roundTripP99Us }) => roundTripP99Us))),
        ratioText(trips.ratio, trips.rounds),
        Math.round(median(flows.map(connections))).toLocaleString('en-US'),
        ratioText(news.ratio, news.rounds),
      ]
    }),
  }
}

function goalsOf(outcomes: readonly Outcome[]): Goal[] {
  return outcomes
    .filter(({ key }) => key.policies > 0)
    .map((outcome) => {
      const { datapath, place, policies } = outcome.key
      const { ratio } = ratioTo(outcomes, outcome, roundTrip)
      return {
        text: `${datapath}, ${place}: round trips with ${policies} policies less than ${mostSlower * 100} % slower than without`,
        measured: ratio.toFixed(3),
        isReached: ratio < 1 + mostSlower,
      }
    })
}

export async function measurePaths(
  rig: Rig,
  { datapaths, counts, rounds, seconds }: PathsSettings,
  say: (line: string) => void,
): Promise<{ table: Table; goals: Goal[]; figures: Record<string, number[]> }> {
  const meter = connectionMeter(rig)
  const cases: PolicyCase[] = []
  for (const datapath of datapaths)
    for (const count of counts) {
      say(`a lab with ${datapath} and ${count} policies`)
      cases.push(...(await labWith(rig, datapath, count)))
    }
  const measured: Measured<Flow>[] = await measureAll(
    cases,
    rounds,
    async (path) => ({
      ...(await measureRoundTrips(path, seconds)),
      connectionsPerSecond: await meter(path, seconds),
    }),
    (line) => say(`paths, ${line}`),
  )
  const outcomes = measured
    .map(({ flows }, index): Outcome => ({ key: cases[index]!, flows }))
    .toSorted((a, b) => a.key.datapath.localeCompare(b.key.datapath) || a.key.place.localeCompare(b.key.place))
  const figures = Object.fromEntries(
    measured.flatMap(({ name, flows }) => [
      [`${name}: round trip us`, flows.map(roundTrip)],
      [`${name}: connections a second`, flows.map(connections)],
    ]),
  )
  return { table: tableOf(outcomes), goals: goalsOf(outcomes), figures }
}
