// The top of the page: who sends what to whom, what became of it, why, and what mends it.
import { equalWaysTexts, roundTripMs } from '../lines.ts'
import { type End } from '../verdict.ts'
import { code, markup, type Markup } from './markup.ts'
import { isForetold, type PageTrace } from './input.ts'

type Tone = 'good' | 'bad' | 'unknown'

const outcomes: Readonly<Record<PageTrace['verdict']['outcome'], readonly [tone: Tone, title: string]>> = {
  answered: ['good', 'Answered'],
  arrives: ['good', 'Would be answered'],
  ends: ['bad', 'Would end'],
  closed: ['bad', 'Closed'],
  refused: ['bad', 'Refused'],
  'not-sent': ['bad', 'Not sent'],
  lost: ['bad', 'Lost'],
  taken: ['unknown', 'Taken'],
  unanswered: ['bad', 'No answer'],
  'answer-lost': ['bad', 'Answer lost'],
  untold: ['unknown', 'Not known'],
}

export const toneOf = ({ verdict }: PageTrace): Tone => outcomes[verdict.outcome][0]

export const outcomeTitle = ({ verdict }: PageTrace): string => outcomes[verdict.outcome][1]

export const endName = ({ addr, pod, node }: End): string => pod ?? node ?? addr

function endHtml(end: End, role: string): Markup {
  const { addr, pod, node, cidrNode } = end
  const kind = pod !== undefined ? 'pod' : node !== undefined ? 'node' : 'address'
  const where =
    pod !== undefined && node !== undefined
      ? markup` on ${code(node)}`
      : cidrNode !== undefined && markup` of a pod CIDR of ${code(cidrNode)}`
  return markup`<span class="endpoint">
    <span class="role">${role} ${kind} </span><b>${endName(end)}</b>
    <span class="at"> ${endName(end) !== addr && code(addr)}${where}</span>
  </span>`
}

const arrow = markup`<span class="to" aria-hidden="true"></span> `

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

function whatText({ probe: { protocol, port, sizeBytes } }: PageTrace): string {
  const name =
    protocol === 'icmp'
      ? 'ICMP echo request'
      : protocol === 'tcp'
        ? `SYN to TCP port ${port}`
        : `datagram to UDP port ${port}`
  return sizeBytes === undefined ? name : `${name}, ${sizeBytes} bytes, not to be fragmented`
}

/** To the millisecond, in UTC: nodes may be anywhere. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().replace('T', ' ').replace('Z', ' UTC')
}

export function whenText({ sent, madeAtMs }: PageTrace): string {
  if (sent !== undefined) return timeText(sent.sentAtMs)
  return madeAtMs === undefined
    ? 'no packet was sent'
    : `no packet was sent; the nodes as they were at ${timeText(madeAtMs)}`
}

/** Who sends to whom, in the middle of a heading. */
export function endsHtml({ probe, behind }: PageTrace): Markup {
  return markup`${endHtml(probe.from, 'from')}${arrow}${endHtml(probe.to, 'to')}
    ${behind && markup`${arrow}${endHtml(behind, 'which is')}`}`
}

export function headHtml(trace: PageTrace): Markup {
  return markup`<header class="top">
    <p class="brand"><span>causeway trace</span><time>${whenText(trace)}</time></p>
    <h1>${endsHtml(trace)}</h1>
  </header>`
}

function remedyHtml(remedy: string): Markup {
  return markup`<div class="remedy">
    <h3>What mends it</h3>
    <p id="remedy">${sentence(remedy)}</p>
    <button type="button" id="copy" hidden>Copy</button><span id="copied" role="status"></span>
  </div>`
}

const problemHtml = (problem: string): Markup =>
  markup`<p class="problem"><b>${problem}</b> is explained in docs/problems.md, section ${problem}.</p>`

function factsHtml(trace: PageTrace): Markup {
  const { verdict, there, back } = trace
  const ms = verdict.outcome === 'answered' ? roundTripMs(there, back) : undefined
  const facts: [string, string | undefined][] = [
    [isForetold(trace) ? 'Would be sent' : 'Sent', whatText(trace)],
    ['Answered after', ms === undefined ? undefined : `${ms.toFixed(3)} ms`],
    ['Largest packet', verdict.fullBytes === undefined ? undefined : `${verdict.fullBytes} bytes, answered too`],
  ]
  return markup`<dl class="facts">
    ${facts.map(
      ([name, value]) =>
        value !== undefined &&
        markup`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`
}

function doubtsHtml(doubts: readonly string[]): Markup {
  return markup`<div class="doubts">
    <h3>What is not known</h3>
    <ul>
      ${doubts.map((each) => markup`<li>${each}</li>`)}
    </ul>
  </div>`
}

type Ways = NonNullable<PageTrace['ways']>

function triedHtml(ways: Ways): Markup {
  const row = ({ way, outcome, sourcePorts }: Ways[number]): Markup => markup`<tr>
    <td>${sourcePorts.length}</td><td>${outcomes[outcome][1]}</td><td>${way}</td>
  </tr>`
  return markup`<table class="tried">
    <caption>Probes from several ports, by the ways that they took</caption>
    <thead><tr><th scope="col">Probes</th><th scope="col">Outcome</th><th scope="col">Way</th></tr></thead>
    <tbody>${ways.map(row)}</tbody>
  </table>`
}

function waysHtml({ ways, predictions }: PageTrace): Markup | readonly Markup[] {
  if (ways !== undefined) return triedHtml(ways)
  return equalWaysTexts(predictions).map((text) => markup`<p class="equal">${text}</p>`)
}

export function verdictHtml(trace: PageTrace): Markup {
  const { verdict, blind, notes } = trace
  const { text, code: problem, remedy } = verdict
  const doubts = [
    ...blind.map(({ node, why }) => (isForetold(trace) ? `${node}: ${why}` : `${node} does not watch: ${why}`)),
    ...notes,
  ]
  return markup`<section class="verdict ${toneOf(trace)}" aria-labelledby="verdict">
      <span class="sign" aria-hidden="true"></span>
      <div>
        <h2 id="verdict">${outcomeTitle(trace)}</h2>
        <p class="why">${sentence(text)}</p>
        ${problem !== undefined && problemHtml(problem)}
        ${remedy !== undefined && remedyHtml(remedy)}
        ${doubts.length > 0 && doubtsHtml(doubts)}
      </div>
    </section>
    ${factsHtml(trace)}
    ${waysHtml(trace)}`
}
