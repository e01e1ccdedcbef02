// One speaker through one scenario: sessions up, everybody announces, the receivers know all, one prefix changes.
import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { BgpLoad } from './bgp-load.ts'
import { BenchSpeaker, loadPeers, prepareHost, speakerAddr, type SpeakerKind } from './bgp-speakers.ts'
import { RigError, waitUntil } from './netns.ts'
import { Rig } from './rig.ts'

export type Scenario = {
  readonly name: string
  readonly title: string
  /** How many of the neighbours announce, how many prefixes each, and who has to know them in the end. */
  readonly senders: number
  readonly each: number
  readonly receivers: 'monitor' | 'senders'
  /** How often one more prefix comes and goes. */
  readonly changes: number
  readonly rounds: number
}

/** Absent: not within the time limit. */
export type Outcome = {
  readonly establishMs?: number
  readonly spreadMs?: number
  readonly changeMs: readonly number[]
  readonly speakerCpuMs: number
  readonly loadCpuMs: number
  readonly restMiB: number
  readonly peakMiB: number
  readonly fullMiB: number
}

/** GoBGP would take minutes. */
export const limitMs = 120_000
/** So long nothing happens between the last session and the first route: FRR waits a second before it tells a new neighbour anything. */
const settleMs = 1500
const changeLimitMs = 10_000

export async function runScenario(kind: SpeakerKind, scenario: Scenario): Promise<Outcome> {
  await using rig = new Rig()
  const host = rig.netns('bgp')
  prepareHost(host)
  const { senders, each, receivers, changes } = scenario
  const peers = loadPeers(receivers === 'monitor' ? senders + 1 : senders)
  const dir = rig.path('speaker')
  mkdirSync(dir)
  await using speaker = new BenchSpeaker(kind, host, dir, peers)
  await waitUntil(`${kind.name} listens`, () => {
    speaker.mustRun()
    return host.sh('ss -Hltn sport = :179') !== ''
  })
  await using load = await BgpLoad.start(host)
  const established = await load.run({ op: 'establish', target: speakerAddr, peers }, limitMs)
  const before = speaker.use
  const none: Outcome = {
    changeMs: [],
    speakerCpuMs: before.cpuMs,
    loadCpuMs: established?.cpuMs ?? 0,
    restMiB: before.residentMiB,
    peakMiB: before.peakResidentMiB,
    fullMiB: before.residentMiB,
  }
  if (established === undefined) return none
  const up: Outcome = { ...none, establishMs: established.elapsedMs }
  if (each === 0) return up
  await sleep(settleMs)
  const last = peers.length - 1
  const indexes = receivers === 'monitor' ? [last] : peers.map((_, index) => index)
  const spread = await load.run({ op: 'announce', senders, each, receivers: indexes }, limitMs)
  speaker.mustRun()
  const after = speaker.use
  const full: Outcome = {
    ...up,
    speakerCpuMs: after.cpuMs - before.cpuMs,
    loadCpuMs: spread?.cpuMs ?? 0,
    peakMiB: after.peakResidentMiB,
    fullMiB: after.residentMiB,
  }
  if (spread === undefined) return full
  const changeMs: number[] = []
  for (let turn = 0; turn < changes; turn++) {
    for (const isThere of [true, false]) {
      const changed = await load.run({ op: 'change', isThere }, changeLimitMs)
      if (changed === undefined)
        throw new RigError(`${kind.name}: one change did not reach all within ${changeLimitMs / 1000} s`)
      changeMs.push(changed.elapsedMs)
    }
  }
  return { ...full, spreadMs: spread.elapsedMs, changeMs }
}
