// HTML from templates: whatever is put into one stays text, unless it is HTML made here.

/** HTML that is safe to be put into a page. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Part = Markup | string | number | undefined | false | readonly Part[]

/** What no font shows, and what turns the order of what stands around it: names from elsewhere may hold it. */
const invisible = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** The same text with what nobody would see written out. */
export const visible = (text: string): string =>
  text.replace(invisible, (each) => `\\u{${each.codePointAt(0)!.toString(16)}}`)

const escaped = (text: string): string => visible(text).replace(/[&<>"']/g, (each) => entities[each]!)

function textOf(part: Part): string {
  if (part === undefined || part === false) return ''
  if (part instanceof Markup) return part.text
  if (Array.isArray(part)) return part.map(textOf).join('')
  return escaped(`${part as string | number}`)
}

/**
 * Attributes are to be in quotation marks. Line breaks of a template, with the spaces behind them, are for its reader alone: a space that the page
 * is to have stands within a line.
 */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(
    strings
      .map((text, index) => text.replace(/\n\s*/g, '') + (index < parts.length ? textOf(parts[index]) : ''))
      .join(''),
  )
}

/** Names of devices and addresses may be long: they break where they must. */
export const code = (text: string | number): Markup => markup`<code>${text}</code>`

export const hidden = (text: string): Markup => markup`<span class="sr">${text}</span>`
