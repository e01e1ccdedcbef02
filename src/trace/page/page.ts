// A trace as one page that needs nothing else: no server, no network, no file beside it. It reads without its script, which only walks.
import { createHash } from 'node:crypto'
import { markup, Markup } from './markup.ts'
import { isForetold, type PageTrace } from './input.ts'
import { pageScript } from './script.ts'
import { baseStyle } from './style-base.ts'
import { ladderStyle } from './style-ladder.ts'
import { tokenStyle } from './style-tokens.ts'
import { headHtml } from './summary.ts'
import { tracePartsOf } from './parts.ts'

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Nothing is loaded, from nowhere; no style and no script but these. */
function policyText(style: string): string {
  return `default-src 'none'; style-src ${hashOf(style)}; script-src ${hashOf(pageScript)}; base-uri 'none'; form-action 'none'`
}

/** Whoever passes the page on is to know. */
const holdings =
  'This page holds names and addresses of the cluster and the headers of one probe with its answer; of what packets carry, eight bytes.'

const foretoldHoldings = 'This page holds names and addresses of the cluster. It tells of no packet that was sent.'

/** The whole page. `madeBy`: the program with its version. */
export function tracePage(trace: PageTrace, madeBy: string): string {
  const { title, main, lengths } = tracePartsOf(trace)
  const style = `${tokenStyle}${baseStyle}${ladderStyle}${lengths}`
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
        <main>${main}</main>
        <footer><p>Made by ${madeBy}. ${isForetold(trace) ? foretoldHoldings : holdings}</p></footer>
        <script>${new Markup(pageScript)}</script>
      </body>
    </html>`.text
}
