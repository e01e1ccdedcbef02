// What is diagnosed of a cluster of so many nodes by what its agents tell and what packets show.
import { diagnose } from '../diagnose.ts'
import { type FollowedPacket, type Finding } from '../types.ts'
import { clusterOf, type Told } from './answers.ts'

export function findingsOf(problems: Told, packets: readonly FollowedPacket[] = [], count = 3): Finding[] {
  return [...diagnose(clusterOf(count, problems), packets).findings]
}

/** What a finding is called, and how much follows from it. */
export const short = ({ code, objects, consequences }: Finding) =>
  [`${code} ${objects.join(' ')}`, consequences.length] as const
