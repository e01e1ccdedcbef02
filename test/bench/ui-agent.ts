// What it costs an agent in a large cluster to be asked for its summary, as the page does in each round; the reference is its whole status.
import { askAll } from '#/api/client.ts'
import { socketTransport } from '#/api/socket-transport.ts'
import { figure, ratioText, type Table } from './benchmark.ts'
import { RigError } from './netns.ts'
import { agentAmong } from './probing.ts'
import { cpuMsOf } from './processes.ts'
import { Rig } from './rig.ts'
import { median, spread } from './stats.ts'

type Settings = { readonly peers: number; readonly asks: number; readonly rounds: number }
type Answers = { readonly cpuMs: number; readonly bytes: number }
export type AnswerCosts = {
  readonly peers: number
  readonly summary: readonly Answers[]
  readonly status: readonly Answers[]
}

/** CPU of the agent for one answer, with what it does besides in that time, and its size as JSON. */
async function costOf(
  agent: Parameters<typeof askAll>[0][number],
  pid: number,
  what: 'summary' | 'status',
  asks: number,
): Promise<Answers> {
  const before = cpuMsOf(pid)
  let bytes = 0
  for (let index = 0; index < asks; index++) {
    const [answer] = await askAll([agent], what)
    if (answer?.outcome.kind !== 'answer') throw new RigError(`the agent does not answer ${what}`)
    bytes = JSON.stringify(answer.outcome.value).length
  }
  return { cpuMs: (cpuMsOf(pid) - before) / asks, bytes }
}

export async function answerCosts({ peers, asks, rounds }: Settings): Promise<AnswerCosts> {
  await using rig = new Rig()
  const { agent } = await agentAmong(rig, peers, 1)
  const asked = { node: 'node-1', transport: socketTransport(agent.socketPath) }
  const [summary, status]: [Answers[], Answers[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    summary.push(await costOf(asked, agent.pid, 'summary', asks))
    status.push(await costOf(asked, agent.pid, 'status', asks))
  }
  return { peers, summary, status }
}

export function answersTable({ peers, summary, status }: AnswerCosts): Table {
  const row = (what: string, answers: readonly Answers[]): string[] => {
    const ratios = answers.map(({ cpuMs }, round) => cpuMs / status[round]!.cpuMs)
    return [
      what,
      figure(median(answers.map(({ cpuMs }) => cpuMs))),
      figure(median(answers.map(({ bytes }) => bytes)) / 1000),
      ratioText(median(ratios), spread(ratios)),
    ]
  }
  return {
    title: `an agent with ${peers.toLocaleString('en-US')} dual-stack nodes, for each answer`,
    columns: ['answer', 'CPU, ms', 'size, kB', 'CPU to that of status'],
    rows: [row('summary, which the page asks for', summary), row('status', status)],
  }
}
