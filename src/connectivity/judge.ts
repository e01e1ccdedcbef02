// Whether a packet did what it should. Pure.
import { blamedCode } from '#/doctor/losses.ts'
import { type FollowedPacket, type PacketEnd } from '#/doctor/types.ts'
import { isWhole, type Verdict } from '#/trace/verdict.ts'
import { type Probe, type ProbeResult } from './types.ts'

/** What a trace says. */
export type Told = {
  readonly verdict: Verdict
  /** The largest packet that was answered, where one of full size was sent. */
  readonly fullBytes?: number
  /** The end to which the destination was translated. */
  readonly behind?: PacketEnd
}

type Judgement = Pick<ProbeResult, 'state' | 'text' | 'isByChance' | 'isOneWay'>

function judgeDenial(verdict: Verdict): Judgement {
  const { outcome, text, kind } = verdict
  if (outcome === 'untold') return { state: 'unknown', text }
  // who answers has it, and so has a process that does not answer
  if (isWhole(verdict) || outcome === 'taken')
    return { state: 'failed', text: `a NetworkPolicy denies it, and it arrived: ${text}` }
  return kind === 'policy'
    ? { state: 'passed', text }
    : { state: 'passed', text: `it did not arrive, and no policy has dropped it: ${text}`, isByChance: true }
}

function judgeArrival({ isOfFullSize, isGuess }: Probe, { verdict, fullBytes }: Told): Judgement {
  const { outcome, text } = verdict
  if (outcome === 'untold') return { state: 'unknown', text }
  if (outcome === 'taken') return { state: 'passed', text, isOneWay: true }
  if (isWhole(verdict)) {
    if (isOfFullSize !== true) return { state: 'passed', text }
    if (fullBytes !== undefined) return { state: 'passed', text: `${fullBytes} bytes: ${text}` }
    return {
      state: 'unknown',
      text: `a small packet is answered; what becomes of one of full size is not told: ${text}`,
    }
  }
  // it left the cluster, and whoever was guessed to answer there does not
  const hasLeft = verdict.last?.place === 'transmit' && verdict.last.pod === undefined && verdict.drop === undefined
  return isGuess === true && hasLeft ? { state: 'unknown', text } : { state: 'failed', text }
}

/** The packet as doctor takes it. Of one whose other end is at no node that is known, what may be wrong is at the sender's. */
export function followed(
  { from, to: asked, family, protocol }: Probe,
  { verdict, fullBytes, behind }: Told,
): FollowedPacket {
  const end = behind ?? asked
  const to = end.node === '' ? { ...end, node: from.node } : end
  return { from, to, family, protocol, verdict, ...(fullBytes !== undefined && { fullBytes }) }
}

export function judge(probe: Probe, told: Told, tries: number): ProbeResult {
  const { verdict } = told
  const judgement = probe.expects === 'denial' ? judgeDenial(verdict) : judgeArrival(probe, told)
  const code = blamedCode({ ...probe, verdict })
  const isBad = judgement.state !== 'passed'
  return {
    probe,
    ...judgement,
    outcome: verdict.outcome,
    ...(isBad && code !== undefined && { code }),
    ...(isBad && verdict.remedy !== undefined && { remedy: verdict.remedy }),
    tries,
  }
}

/**
 * Whether the packet is to be sent again. `isBroken`: on its way packets were lost for good. `isSettling`: pods are ready since a moment ago, and who
 * translates the address of a Service hears of those behind it only then.
 */
export function isWorthAgain(
  { state, code, remedy, probe, outcome, tries }: ProbeResult,
  { isBroken, isSettling }: { readonly isBroken: boolean; readonly isSettling: boolean },
): boolean {
  if (state === 'passed') return false
  if (probe.via !== undefined && isSettling) return true
  if (tries > 1 || isBroken || probe.isGuess === true) return false
  // nobody says why it was lost, so perhaps only some are
  return outcome === 'untold' || (code === undefined && remedy === undefined)
}
