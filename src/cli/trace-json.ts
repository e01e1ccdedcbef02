// A trace for programs. Pure.
import { layersOf } from '#/trace/bytes.ts'
import { type Hop } from '#/trace/way.ts'
import { exitStatus } from '#/trace/verdict.ts'
import { type SizedRun } from './trace-sizes.ts'

const hopJson = ({ node, place, device, pod, isExpected, sighting }: Hop) => ({
  node,
  ...(pod !== undefined && { pod }),
  device,
  place,
  isExpected,
  isSeen: sighting !== undefined,
  ...(sighting && { sighting: { ...sighting, layers: layersOf(sighting) } }),
})

export function traceJson(run: SizedRun) {
  const { probe, facts, sent, hops, verdict, blind, notes, behind, fullBytes, ways } = run
  const { last, next, ...told } = verdict
  return {
    probe: { ...probe.request, from: probe.pair.from, to: probe.pair.to },
    ...(behind && { behind }),
    sent,
    predictions: facts.predictions,
    there: hops.there.map(hopJson),
    back: hops.back.map(hopJson),
    blind,
    notes,
    ...(ways && { ways }),
    verdict: {
      ...told,
      ...(fullBytes !== undefined && { fullBytes }),
      isAnswered: verdict.outcome === 'answered',
      ...(last && { lastSeen: hopJson(last) }),
      ...(next && { firstNotSeen: hopJson(next) }),
    },
    exitStatus: exitStatus(verdict),
  }
}
