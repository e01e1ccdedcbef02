// A connectivity test for programs. Pure.
import { summaryText } from './text.ts'
import { type ProbeResult, type ScenarioResult } from './types.ts'

function probeJson({ probe, state, outcome, text, code, remedy, tries, firstText, isByChance, isOneWay }: ProbeResult) {
  const { from, to, target, family, protocol, port, expects, isOfFullSize } = probe
  return {
    from: { name: from.name, node: from.node },
    to: { name: to.name, ...(to.node !== '' && { node: to.node }), ...(target !== undefined && { addr: target }) },
    family,
    protocol,
    ...(port !== undefined && { port }),
    ...(isOfFullSize && { isOfFullSize }),
    expects,
    state,
    outcome,
    text,
    ...(code !== undefined && { code }),
    ...(remedy !== undefined && { remedy }),
    tries,
    ...(firstText !== undefined && { firstText }),
    ...(isByChance && { isByChance }),
    ...(isOneWay && { isOneWay }),
  }
}

/** `isDone`: nothing is left of what the test made, and what was asked for is written. */
export function exitStatusOf(results: readonly ScenarioResult[], isDone: boolean): 0 | 1 | 3 {
  if (results.some(({ state }) => state === 'failed')) return 1
  return isDone ? 0 : 3
}

export function resultsJson(
  results: readonly ScenarioResult[],
  nodes: readonly string[],
  { ms, exitStatus }: { ms: number; exitStatus: number },
) {
  return {
    summary: summaryText(results, ms),
    nodes,
    scenarios: results.map(({ probes, ...rest }) => ({
      ...rest,
      ms: Math.round(rest.ms),
      packets: probes.map(probeJson),
    })),
    exitStatus,
  }
}
