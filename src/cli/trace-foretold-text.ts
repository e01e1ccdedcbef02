// A trace of a bundle as text, and for programs. Pure.
import { type Direction, type Prediction } from '#/trace/types.ts'
import { type Foretold } from './trace-foretold.ts'
import { type ForetoldOutcome } from './trace-foretold-verdict.ts'
import { hanging, predictionText, titleOf } from './trace-text.ts'

const marks = { arrives: '', closed: 'closed: ', ends: 'WOULD END: ', untold: 'NOT KNOWN: ' } as const

export const foretoldStatus = ({ outcome }: { readonly outcome: ForetoldOutcome }): 0 | 1 | 3 =>
  outcome === 'arrives' ? 0 : outcome === 'untold' ? 3 : 1

export function renderForetold(told: Foretold, width: number): string {
  const { predictions, outcome, text, remedy, obstacle, madeAtMs, silences } = told
  const code = obstacle?.step.code
  const silent = outcome === 'untold' ? [] : silences.map(({ node, why }) => hanging(`${node}: ${why}`, '! ', width))
  const verdict = `${marks[outcome]}${text}${code === undefined ? '' : ` [${code}]`}`
  return [
    `${titleOf(told)}, as it was at ${new Date(madeAtMs).toISOString()}`,
    ...predictionText('expected', predictions.there, width),
    ...predictionText('expected of the answer', predictions.back, width),
    ...(silent.length > 0 ? [silent.join('\n')] : []),
    [hanging(verdict, '', width), ...(remedy === undefined ? [] : [hanging(`remedy: ${remedy}`, '', width)])].join(
      '\n',
    ),
  ].join('\n\n')
}

/** In the form of a trace with packets: each place is expected, and none was seen. */
const placesOf = (predictions: readonly Prediction[]) =>
  predictions.flatMap(({ node, way }) =>
    way.map(({ place, device, pod }) => ({
      node,
      ...(pod !== undefined && { pod }),
      device,
      place,
      isExpected: true,
      isSeen: false,
    })),
  )

export function foretoldJson(told: Foretold) {
  const { probe, predictions, outcome, text, remedy, obstacle, behind, madeAtMs, silences } = told
  const { code, kind, device, pod } = obstacle?.step ?? {}
  const direction: Direction | undefined = obstacle?.direction
  return {
    isForetold: true,
    madeAtMs,
    probe: { ...probe.request, from: probe.pair.from, to: probe.pair.to },
    ...(behind && { behind }),
    predictions,
    there: placesOf(predictions.there),
    back: placesOf(predictions.back),
    blind: silences,
    notes: [],
    verdict: {
      outcome,
      text,
      ...(code !== undefined && { code }),
      ...(remedy !== undefined && { remedy }),
      ...(kind !== undefined && { kind }),
      ...(direction !== undefined && { direction }),
      ...(obstacle && {
        endsAt: { node: obstacle.node, ...(pod !== undefined && { pod }), ...(device !== undefined && { device }) },
      }),
      isAnswered: outcome === 'arrives',
    },
    exitStatus: foretoldStatus(told),
  }
}
