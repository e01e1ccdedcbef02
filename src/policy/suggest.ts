// What would turn the outcome of one direction round. Each change is tried out in a copy of the cluster, and is offered only when the
// evaluator then says what was wanted.
import { type Candidate, type SuggestedChange, viewWith } from './change.ts'
import { type PolicyView } from './cluster.ts'
import { evaluateDirection } from './evaluate.ts'
import { type Ends } from './match.ts'
import { labelChanges, unlabelChanges } from './suggest-labels.ts'
import {
  addedRule,
  type Case,
  insertedRule,
  newDenial,
  newIsolation,
  portChanges,
  removedRule,
} from './suggest-rules.ts'
import { type DirectionVerdict, type PolicyPacket } from './verdict.ts'

/** Beyond these nobody reads. */
const maxChanges = 3

/** A pod may be selected by a thousand policies, and each candidate is tried out. */
const maxCandidates = 10

function smallest(candidates: readonly Candidate[]): Candidate[] {
  return candidates.toSorted((one, other) => one.size - other.size).slice(0, maxCandidates)
}

function candidatesToAllow(given: Case, { decision }: DirectionVerdict): Candidate[] {
  const { view, packet, ends, direction } = given
  const labels = smallest(labelChanges(view, packet, ends, direction))
  if (decision.kind === 'isolated') {
    const isolating = decision.by.flatMap((key) => view.policies.get(key) ?? [])
    return [
      ...labels,
      ...smallest(portChanges(given, isolating)),
      ...isolating.slice(0, 1).flatMap((each) => addedRule(given, each)),
    ]
  }
  if (decision.kind !== 'rule') return []
  const { rule, tier } = decision
  const inserted = (['Pass', 'Accept'] as const).flatMap((action) => insertedRule(given, action, rule))
  const isolation = tier === 'Baseline' ? newIsolation(given, true) : []
  return [...labels, ...inserted, ...isolation, ...removedRule(given, rule)]
}

function candidatesToDeny(given: Case, { decision }: DirectionVerdict): Candidate[] {
  const { view, ends } = given
  switch (decision.kind) {
    case 'default':
      return [...newDenial(given), ...newIsolation(given, false)]
    case 'itself':
      return newDenial(given)
    case 'rule': {
      const { rule, tier } = decision
      return [
        ...unlabelChanges(view, ends, rule),
        ...removedRule(given, rule),
        ...(tier === 'NetworkPolicy' ? [] : insertedRule(given, 'Deny', rule)),
        ...newDenial(given),
        ...(tier === 'Baseline' ? newIsolation(given, false) : []),
      ]
    }
    default:
      return []
  }
}

/** Changes that give the direction the opposite outcome, the smallest first. */
export function changesOf(
  view: PolicyView,
  packet: PolicyPacket,
  ends: Ends,
  verdict: DirectionVerdict,
): readonly SuggestedChange[] {
  const { direction, isDenied } = verdict
  const given: Case = { view, packet, ends, direction }
  const candidates = isDenied ? candidatesToAllow(given, verdict) : candidatesToDeny(given, verdict)
  const changes = new Map<string, SuggestedChange>()
  for (const { change, changed } of candidates.toSorted((one, other) => one.size - other.size)) {
    if (changes.size === maxChanges) break
    const after = evaluateDirection(viewWith(view, changed), packet, direction)
    if (after.isDenied !== isDenied && !changes.has(change.what)) changes.set(change.what, change)
  }
  return [...changes.values()]
}
