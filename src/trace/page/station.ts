// One place of the ladder: what was seen there, what was expected, and whether the packet ends here.
import { placeVerbs } from '../lines.ts'
import { type Step } from '../types.ts'
import { type Verdict } from '../verdict.ts'
import { type EndMark } from './end-mark.ts'
import { headersHtml } from './headers.ts'
import { code, hidden, markup, type Markup } from './markup.ts'
import { type Station } from './ladder.ts'
import { segmentsOf, stackHtml } from './stack.ts'

const stateWords: Readonly<Record<Station['state'], string>> = {
  seen: 'seen as expected',
  stray: 'seen, where it was not expected',
  passed: 'not shown by the kernel, and passed',
  missing: 'was to be seen here, and was not',
  foretold: 'would come here',
  barred: 'would not get here',
}

const titles = { dead: 'Ends here', astray: 'Off its way', unknown: 'Not known' } as const

/** Form, colour and words say it. */
export function markHtml({ kind, title = titles[kind], words }: EndMark, id: string): Markup {
  return markup`<div class="end ${kind}" id="${id}" data-step data-say="${title}: ${words}">
    <span class="sign" aria-hidden="true"></span><strong>${title}</strong> <span>${words}</span>
  </div>`
}

/** `shown`: what of it stands elsewhere. */
export function stepHtml(
  { kind, text, device, isObstacle, code: problem, remedy }: Step,
  shown: { readonly device?: string; readonly remedy?: string } = {},
): Markup {
  const isElsewhere = device !== undefined && device !== shown.device
  const isNews = remedy !== undefined && remedy !== shown.remedy
  const said = markup`${isElsewhere && markup`${code(device)} `}${text}
    ${problem !== undefined && markup` <b class="problem">${problem}</b>`}
    ${isNews && markup` <span class="mends">Mends it: ${remedy}</span>`}`
  return markup`<li${isObstacle && markup` class="obstacle"`}>
    ${isObstacle && hidden('in the way: ')}<span class="kind">${kind}</span> <span>${said}</span>
  </li>`
}

const msText = (ms: number): string => `${ms < 0 ? '−' : '+'}${Math.abs(ms).toFixed(3)}`

function stepsHtml({ steps, state, hop: { device } }: Station): Markup | undefined {
  if (steps.length === 0) return undefined
  const would = state === 'foretold' || state === 'barred' ? 'would do' : 'was expected to do'
  return markup`<p class="label">What this kernel ${would}</p>
    <ul class="steps">
      ${steps.map((step) => stepHtml(step, { device }))}
    </ul>`
}

/** Whose end a device of the node is, and what of a process the kernel tells no device of. */
function deviceHtml({ hop: { device, place, sighting } }: Station): Markup {
  const of = sighting?.devicePod
  const name = device === '' ? (place === 'read' ? 'a process' : 'the kernel') : device
  return markup`${code(name)}${of !== undefined && markup` <span class="of">of ${of}</span>`}`
}

function sayText({ hop: { node, pod, device, place, sighting }, sinceMs, change, steps }: Station): string {
  const where = [node, pod === undefined ? '' : `pod ${pod}`, device].filter(Boolean).join(', ')
  if (sighting === undefined)
    return `${where}: ${placeVerbs[place]}. ${steps.map(({ kind, text }) => `${kind}: ${text}`).join('; ')}`
  const time = sinceMs === undefined ? '' : `, ${msText(sinceMs)} ms`
  return `${where}: ${placeVerbs[place]}, ${sighting.lengthBytes} bytes${time}${change === '' ? '' : `. ${change}`}`
}

function seenHtml(station: Station, mostDrawn: number): Markup {
  const { hop, layers, sinceMs, change, state } = station
  const { lengthBytes } = hop.sighting!
  return markup`<details>
    <summary>
      <span class="row">
        ${deviceHtml(station)} <span class="verb">${placeVerbs[hop.place]}</span>
        ${state === 'stray' && hop.place !== 'drop' && markup` <span class="note">not expected here</span>`}
        <span class="figures"> <span class="ms">${msText(sinceMs!)} ms</span> <span class="bytes">${lengthBytes} B</span></span>
      </span>
      ${stackHtml(segmentsOf(layers, lengthBytes), lengthBytes, mostDrawn)}
      ${change !== '' && markup`<span class="change">${change}</span>`}
    </summary>
    <div class="inside">
      ${stepsHtml(station)}
      <p class="label">What was seen here</p>
      ${headersHtml(station)}
    </div>
  </details>`
}

const unseenWords: Readonly<Record<Exclude<Station['state'], 'foretold'>, string>> = {
  seen: '',
  stray: '',
  passed: 'not shown, passed',
  missing: 'not seen',
  barred: 'would not get here',
}

function unseenHtml(station: Station): Markup {
  const { state, steps } = station
  const words = state === 'foretold' ? placeVerbs[station.hop.place] : unseenWords[state]
  const row = markup`<span class="row">${deviceHtml(station)} <span class="verb">${words}</span></span>`
  if (steps.length === 0) return markup`<div class="plain">${row}</div>`
  return markup`<details${state === 'foretold' && markup` open`}>
    <summary>${row}</summary>
    <div class="inside">${stepsHtml(station)}</div>
  </details>`
}

/**
 * What is in the way is told without opening anything, where the packet was or where the verdict speaks of it: nothing else has met it. What mends it
 * is told by the verdict, if it is the same.
 */
function obstaclesHtml(
  { steps, hop, mark }: Station,
  { text, remedy }: Pick<Verdict, 'text' | 'remedy'>,
): Markup | undefined {
  const told = steps.filter(
    (step) => step.isObstacle && (hop.sighting !== undefined || mark !== undefined || text.includes(step.text)),
  )
  if (told.length === 0) return undefined
  const shown = { device: hop.device, ...(remedy !== undefined && { remedy }) }
  return markup`<ul class="steps told">
    ${told.map((step) => stepHtml(step, shown))}
  </ul>`
}

/** Whether the packet has come here, or would. */
export const isWalked = ({ hop, state }: Station): boolean => hop.sighting !== undefined || state === 'foretold'

export function stationHtml(
  station: Station,
  { mostDrawn, verdict }: { readonly mostDrawn: number; readonly verdict: Pick<Verdict, 'text' | 'remedy'> },
): Markup {
  const { hop, id, state, mark } = station
  const isSeen = hop.sighting !== undefined
  const isDrop = hop.place === 'drop'
  const walk = isWalked(station) && markup` data-step data-say="${sayText(station)}"`
  return markup`<li class="station ${state}${isDrop ? ' drop' : ''}${mark && mark.kind !== 'astray' && ' ended'}" id="${id}"${walk}>
    <span class="dot" aria-hidden="true"></span>${hidden(`${isDrop ? 'dropped here' : stateWords[state]}: `)}
    ${isSeen ? seenHtml(station, mostDrawn) : unseenHtml(station)}
    ${mark && markHtml(mark, `${id}-end`)}
    ${state !== 'foretold' && obstaclesHtml(station, verdict)}
  </li>`
}
