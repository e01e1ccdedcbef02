// What nodes answered and what packets did, made into findings. Pure.
import { cutFromApi, ownProblems, silentAgents } from './agents.ts'
import { arrange } from './causes.ts'
import { namesIn } from './extent.ts'
import { blamedCauses, lostPackets, packetNotes } from './losses.ts'
import { reachOf } from './ways.ts'
import { type Diagnosis, type FollowedPacket, type NodeAnswers } from './types.ts'

export function diagnose(answers: readonly NodeAnswers[], packets: readonly FollowedPacket[]): Diagnosis {
  const names = namesIn(answers)
  const told = [...silentAgents(answers), ...ownProblems(answers, names), ...cutFromApi(answers)]
  const signs = [...told, ...blamedCauses(packets, told), ...lostPackets(packets)]
  return { findings: arrange(signs, reachOf(packets)), notes: packetNotes(packets) }
}
