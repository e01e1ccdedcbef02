// What a page shows of a trace, wherever it stands: in a file of its own, or within another page.
import { isForetold, type PageTrace } from './input.ts'
import { type Ladder, ladderOf, type Station } from './ladder.ts'
import { markup, type Markup } from './markup.ts'
import { drawnBytes, lengthRules, segmentsOf } from './stack.ts'
import { isWalked } from './station.ts'
import { endName, outcomeTitle, verdictHtml } from './summary.ts'
import { legendHtml, walkerHtml } from './walker.ts'
import { columnsOf, type Layout, wayHtml } from './way-part.ts'

function stationsOf(ladders: readonly Ladder[]): Station[] {
  return ladders.flatMap(({ legs }) => legs.flatMap(({ groups }) => groups.flatMap(({ stations }) => stations)))
}

export type TraceParts = {
  readonly title: string
  /** The verdict, the bar by which one walks, the ladder and what its signs mean. */
  readonly main: Markup
  /** Rules for the lengths of its bars: they are of no use to another trace. */
  readonly lengths: string
}

export function tracePartsOf(trace: PageTrace): TraceParts {
  const ladders = [ladderOf(trace, 'there'), ladderOf(trace, 'back')].filter((each) => each !== undefined)
  const stations = stationsOf(ladders)
  const bars = stations.flatMap(({ hop: { sighting }, layers }) =>
    sighting === undefined ? [] : [segmentsOf(layers, sighting.lengthBytes)],
  )
  const mostDrawn = Math.max(1, ...bars.map(drawnBytes))
  const { probe, behind, verdict } = trace
  const outside = probe.to.addr
  const layout: Layout = { columns: columnsOf(ladders), mostDrawn, outside, verdict, isForetold: isForetold(trace) }
  const form = layout.columns.length === 1 ? 'beside' : 'below'
  const main = markup`${verdictHtml(trace)}
    ${stations.some(isWalked) && walkerHtml()}
    <div class="ladder ${form}" id="ladder">
      ${ladders.map((each) => wayHtml(each, layout))}
      <span id="packet" aria-hidden="true" hidden></span>
    </div>
    ${legendHtml(trace)}`
  return {
    title: `${outcomeTitle(trace)}: ${endName(probe.from)} → ${endName(behind ?? probe.to)}`,
    main,
    lengths: lengthRules(bars, mostDrawn),
  }
}
