// What is copied into a ticket: plain text that reads alone, with the time and the place that it is of. Pure.
import { type PageTrace } from '#/trace/page/input.ts'
import { endName, outcomeTitle } from '#/trace/page/summary.ts'
import { placeVerbs } from '#/trace/lines.ts'
import { type Hop } from '#/trace/way.ts'
import { type State } from '../state/state.ts'
import { type Wrong } from './wrong.ts'

type Where = Pick<State, 'source' | 'version' | 'askedMs' | 'doctor'>

const timeText = (ms: number | undefined): string =>
  ms === undefined || Number.isNaN(new Date(ms).getTime())
    ? ''
    : `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`

const footer = ({ source, version }: Pick<Where, 'source' | 'version'>, ms: number | undefined): string =>
  [source, `causeway ${version}`, timeText(ms)].filter(Boolean).join(', ')

export function wrongTicket(
  { code, objects, message, how, remedy, nodes, consequences, others, by }: Wrong,
  where: Where,
): string {
  return [
    `${code} ${objects.join(', ')}: ${message}`,
    '',
    `Known from: ${how}`,
    `Told by: ${nodes.join(', ')}`,
    `Remedy: ${remedy}`,
    ...(others.length === 0 ? [] : ['', 'The same of others:', ...others.map((text) => `- ${text}`)]),
    ...(consequences.length === 0 ? [] : ['', 'What follows from it:', ...consequences.map((text) => `- ${text}`)]),
    '',
    // doctor looks less often than nodes are asked
    footer(where, by === 'doctor' ? where.doctor?.reportMs : where.askedMs),
  ].join('\n')
}

function hopLine({ node, pod, device, place, sighting, isExpected }: Hop): string {
  const where = [node, pod === undefined ? '' : `pod ${pod}`, device].filter(Boolean).join(', ')
  const seen = sighting === undefined ? 'not seen' : `${sighting.lengthBytes} bytes`
  return `- ${where}: ${placeVerbs[place]}, ${seen}${isExpected ? '' : ', not expected here'}`
}

export function traceTicket(trace: PageTrace, where: Where): string {
  const { probe, behind, verdict, there, back, sent } = trace
  const ends = [probe.from, probe.to, ...(behind ? [behind] : [])].map((end) => {
    const name = endName(end)
    return `${name}${name === end.addr ? '' : ` (${end.addr}${end.node === undefined || end.node === name ? '' : ` on ${end.node}`})`}`
  })
  const what = `${probe.protocol.toUpperCase()}${probe.port === undefined ? '' : ` port ${probe.port}`}`
  return [
    `${outcomeTitle(trace)}: ${ends.join(' → ')}, ${what}`,
    '',
    verdict.text,
    ...(verdict.code === undefined ? [] : [`Code: ${verdict.code}`]),
    ...(verdict.remedy === undefined ? [] : [`Remedy: ${verdict.remedy}`]),
    ...(there.length === 0 ? [] : ['', 'The probe:', ...there.map(hopLine)]),
    ...(back.length === 0 ? [] : ['', 'The answer:', ...back.map(hopLine)]),
    '',
    footer(where, sent?.sentAtMs),
  ].join('\n')
}
