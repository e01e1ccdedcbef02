// What the script needs of the page, and what the forms and colours mean.
import { isForetold, type PageTrace } from './input.ts'
import { markup, type Markup } from './markup.ts'

const icon = (path: string): Markup =>
  markup`<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="${path}"/></svg>`

const icons = {
  first: icon('M3 3h2v10H3zM13 3v10L6 8z'),
  back: icon('M11 3v10L4 8z'),
  play: icon('M4 2.5v11L13 8z'),
  pause: icon('M4 3h3v10H4zM9 3h3v10H9z'),
  forward: icon('M5 3v10l7-5z'),
  last: icon('M11 3h2v10h-2zM3 3v10l7-5z'),
} as const

const button = (id: string, label: string, picture: Markup): Markup =>
  markup`<button type="button" id="${id}" aria-label="${label}">${picture}</button>`

/** Hidden until the script shows it: without one there is nothing to press. */
export function walkerHtml(): Markup {
  return markup`<section class="walker" id="walker" aria-label="Walk along with the packet" hidden>
    <div class="controls">
      <div class="buttons" role="group" aria-label="Steps">
        ${button('step-first', 'First step', icons.first)}
        ${button('step-back', 'Step back', icons.back)}
        ${button('play', 'Play', markup`${icons.play}${icons.pause}`)}
        ${button('step-forward', 'Step forward', icons.forward)}
        ${button('step-last', 'Last step', icons.last)}
      </div>
      <input type="range" id="seek" min="1" value="1" aria-label="Step">
      <output id="count" for="seek"></output>
      <button type="button" id="open">Open all</button>
    </div>
    <div class="stage" id="stage" aria-hidden="true"></div>
    <p id="say" role="status"></p>
  </section>`
}

const marks = [
  ['seen', 'seen as expected'],
  ['stray', 'seen, not expected'],
  ['passed', 'not shown, passed'],
  ['missing', 'not seen'],
] as const

const foretoldMarks = [
  ['foretold', 'would come here'],
  ['barred', 'would not get here'],
] as const

const kinds = [
  ['link', 'link'],
  ['network', 'network'],
  ['transport', 'transport'],
  ['tunnel', 'tunnel'],
  ['payload', 'what it carries'],
] as const

const legend =
  'Each line is one device. Times count from the first line of the same node, since clocks of nodes differ. A bar is the packet there: headers as long as they have bytes, what it carries cut where it is long; what a tunnel adds stands apart in front. A line opens to what this kernel was expected to do, and to every header with its bytes.'

const foretoldLegend =
  'Each line is one device by which the packet would go, with what its kernel would do there. No packet was sent.'

export function legendHtml(trace: PageTrace): Markup {
  const [text, keys] = isForetold(trace) ? [foretoldLegend, foretoldMarks] : [legend, marks]
  return markup`<section class="legend" aria-labelledby="legend">
  <h2 id="legend">How to read it</h2>
  <p>${text}</p>
  <ul class="keys">
    ${keys.map(([name, words]) => markup`<li class="key ${name}"><span class="dot"></span>${words}</li>`)}
    ${!isForetold(trace) && kinds.map(([name, words]) => markup`<li class="key"><span class="seg ${name}"></span>${words}</li>`)}
  </ul>
</section>`
}
