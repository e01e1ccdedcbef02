// One direction of the ladder: nodes side by side with the pods on top and the network between them below, the packet going down, across and up.
import { type EndMark } from './end-mark.ts'
import { hidden, markup, type Markup } from './markup.ts'
import { type PageTrace } from './input.ts'
import { type Ladder, type Leg, type Station } from './ladder.ts'
import { isWalked, markHtml, stationHtml, stepHtml } from './station.ts'

export type Layout = {
  /** Nodes from left to right; undefined is what is outside of the cluster. */
  readonly columns: readonly (string | undefined)[]
  /** How many bytes the longest bar of the page has. */
  readonly mostDrawn: number
  readonly verdict: PageTrace['verdict']
  readonly isForetold: boolean
  /** Of an end that no node has. */
  readonly outside: string
}

const placeKey = ({ node }: Leg): string | undefined => node

/** The nodes of all directions from left to right, in the order of the probe's way. */
export function columnsOf(ladders: readonly Ladder[]): (string | undefined)[] {
  return [...new Set(ladders.flatMap(({ legs }) => legs.map(placeKey)))]
}

/** Two nodes have a column each, if the packet goes from one to the other; else nodes stand one below the other. */
function isSideBySide({ legs }: Ladder, { columns }: Layout): boolean {
  return columns.length === 2 && legs.length <= 2
}

/** A namespace that the packet did not get through. */
function groupClass(pod: string | undefined, stations: readonly Station[]): string {
  return pod === undefined ? `host${isOnWay(stations.at(-1)!) ? '' : ' unreached'}` : 'pod'
}

const nobody = markup`<p class="nobody">Nothing is told of what happens here.</p>`

function legHtml(ladder: Ladder, index: number, layout: Layout): Markup {
  const { legs, direction } = ladder
  const { node, groups, steps } = legs[index]!
  const column = layout.columns.indexOf(node) + 1
  const isUp = index > 0 && isSideBySide(ladder, layout)
  const kinds = `node col${column}${isUp ? ' up' : ''}${node === undefined ? ' outside' : ''}`
  return markup`<div class="${kinds}">
    <h3><span class="what">${node === undefined ? 'outside of the cluster ' : 'node '}</span>${node ?? layout.outside}</h3>
    ${ladder.legMark?.leg === index && markHtml(ladder.legMark.mark, `${direction}-start`)}
    ${
      groups.length > 0 &&
      markup`<div class="groups">
        ${groups.map(
          ({ pod, stations }) =>
            markup`<div class="${groupClass(pod, stations)}">
              ${pod !== undefined && markup`<h4><span class="what">pod </span>${pod}</h4>`}
              <ol>
                ${stations.map((each) => stationHtml(each, layout))}
              </ol>
            </div>`,
        )}
      </div>`
    }
    ${groups.length === 0 && steps.length === 0 && nobody}
    ${
      steps.length > 0 &&
      markup`<div class="inside">
        <p>This node has no place for the packet:</p>
        <ul class="steps">
          ${steps.map((step) => stepHtml(step))}
        </ul>
      </div>`
    }
  </div>`
}

const isCome = ({ groups }: Leg): boolean => groups.some(({ stations }) => stations.some(isWalked))

function wireHtml(ladder: Ladder, index: number, isBackwards: boolean): Markup {
  const { wireMark, legs, direction } = ladder
  const mark: EndMark | undefined = wireMark?.behind === index ? wireMark.mark : undefined
  // outside of the cluster nobody looks
  const isCrossed = [legs[index]!, legs[index + 1]!].every((leg) => leg.node === undefined || isCome(leg))
  const state = mark === undefined ? (isCrossed ? 'crossed' : 'uncrossed') : `broken ${mark.kind}`
  const isBeyond = legs.slice(index, index + 2).some(({ node }) => node === undefined)
  return markup`<div class="wire ${state}${isBackwards ? ' backwards' : ''}">
    <span class="line" aria-hidden="true"></span>
    <p>${hidden(isCrossed ? 'crossed: ' : '')}${isBeyond ? 'network beyond the node' : 'network between nodes'}</p>
    ${mark && markHtml(mark, `${direction}-wire-end`)}
  </div>`
}

const titles = { there: 'The probe', back: 'The answer' } as const

function countText({ seenCount, expectedCount }: Ladder, { isForetold }: Layout): string {
  if (isForetold) return 'as the nodes of the bundle say'
  return expectedCount === 0 ? 'no way was foretold' : `seen at ${seenCount} of ${expectedCount} expected places`
}

const isOnWay = ({ state }: Station): boolean => state !== 'missing' && state !== 'barred'

export function wayHtml(ladder: Ladder, layout: Layout): Markup {
  const { direction, legs, seenCount } = ladder
  const { outcome } = layout.verdict
  const form = isSideBySide(ladder, layout) ? 'two' : 'one'
  const isBackwards = layout.columns.indexOf(legs[0]!.node) > 0
  const parts = legs.map((_, index) => [
    legHtml(ladder, index, layout),
    index + 1 < legs.length ? wireHtml(ladder, index, isBackwards) : undefined,
  ])
  const way = markup`<div class="way ${form}">${parts}</div>`
  const isUnseen = direction === 'back' && seenCount === 0 && outcome !== 'answered' && outcome !== 'answer-lost'
  const hasAny = legs.some(({ groups }) => groups.some(({ stations }) => stations.some(isOnWay)))
  if (isUnseen && !hasAny)
    return markup`<section class="direction" aria-labelledby="${direction}">
      <h2 id="${direction}">${titles[direction]}</h2>
      <details class="untaken">
        <summary>${layout.isForetold ? 'No answer would be sent.' : 'No answer was seen.'} The way that it was expected to take</summary>
        ${way}
      </details>
    </section>`
  return markup`<section class="direction" aria-labelledby="${direction}">
    <header>
      <h2 id="${direction}">${titles[direction]}</h2>
      <p>${countText(ladder, layout)}</p>
    </header>
    ${way}
  </section>`
}
