// A connectivity test for programs. Pure.
import { summaryText } from './text.ts'
import { type ProbeResult, type ScenarioResult } from './types.ts'

function probeJson({ probe, state, outcome, text, code, remedy, tries, firstText, isByChance }: ProbeResult) {
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
  }
}

export function resultsJson(results: readonly ScenarioResult[], nodes: readonly string[], ms: number) {
  return {
    summary: summaryText(results, ms),
    nodes,
    scenarios: results.map(({ probes, ...rest }) => ({
      ...rest,
      ms: Math.round(rest.ms),
      packets: probes.map(probeJson),
    })),
    exitStatus: results.some(({ state }) => state === 'failed') ? 1 : 0,
  }
}
