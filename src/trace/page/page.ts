// A trace as one page that needs nothing else: no server, no network, no file beside it. It reads without its script, which only walks.
import { createHash } from 'node:crypto'
import { markup, Markup } from './markup.ts'
import { isForetold, type PageTrace } from './input.ts'
import { type Ladder, ladderOf, type Station } from './ladder.ts'
import { legendHtml, walkerHtml } from './walker.ts'
import { script } from './script.ts'
import { isWalked } from './station.ts'
import { drawnBytes, lengthRules, segmentsOf } from './stack.ts'
import { baseStyle } from './style-base.ts'
import { ladderStyle } from './style-ladder.ts'
import { endName, headHtml, outcomeTitle, verdictHtml } from './summary.ts'
import { columnsOf, type Layout, wayHtml } from './way-part.ts'

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Nothing is loaded, from nowhere; no style and no script but these. */
function policyText(style: string): string {
  return `default-src 'none'; style-src ${hashOf(style)}; script-src ${hashOf(script)}; base-uri 'none'; form-action 'none'`
}

function stationsOf(ladders: readonly Ladder[]): Station[] {
  return ladders.flatMap(({ legs }) => legs.flatMap(({ groups }) => groups.flatMap(({ stations }) => stations)))
}

/** Whoever passes the page on is to know. */
const holdings =
  'This page holds names and addresses of the cluster and the headers of one probe with its answer; of what packets carry, eight bytes.'

const foretoldHoldings = 'This page holds names and addresses of the cluster. It tells of no packet that was sent.'

/** The whole page. `madeBy`: the program with its version. */
export function tracePage(trace: PageTrace, madeBy: string): string {
  const ladders = [ladderOf(trace, 'there'), ladderOf(trace, 'back')].filter((each) => each !== undefined)
  const stations = stationsOf(ladders)
  const bars = stations.flatMap(({ hop: { sighting }, layers }) =>
    sighting === undefined ? [] : [segmentsOf(layers, sighting.lengthBytes)],
  )
  const mostDrawn = Math.max(1, ...bars.map(drawnBytes))
  const style = `${baseStyle}${ladderStyle}${lengthRules(bars, mostDrawn)}`
  const { probe, behind, verdict } = trace
  const outside = probe.to.addr
  const layout: Layout = { columns: columnsOf(ladders), mostDrawn, outside, verdict, isForetold: isForetold(trace) }
  const form = layout.columns.length === 1 ? 'beside' : 'below'
  const title = `${outcomeTitle(trace)}: ${endName(probe.from)} → ${endName(behind ?? probe.to)}`
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="${policyText(style)}">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="referrer" content="no-referrer">
        <title>${title} – causeway trace</title>
        <style>${new Markup(style)}</style>
      </head>
      <body>
        ${headHtml(trace)}
        <main>
          ${verdictHtml(trace)}
          ${stations.some(isWalked) && walkerHtml()}
          <div class="ladder ${form}" id="ladder">
            ${ladders.map((each) => wayHtml(each, layout))}
            <span id="packet" aria-hidden="true" hidden></span>
          </div>
          ${legendHtml(trace)}
        </main>
        <footer><p>Made by ${madeBy}. ${isForetold(trace) ? foretoldHoldings : holdings}</p></footer>
        <script>${new Markup(script)}</script>
      </body>
    </html>`.text
}
