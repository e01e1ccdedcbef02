// Label and field selectors: `a=b,c!=d,e in (f,g),!h` and `spec.nodeName=x` (apimachinery pkg/labels, pkg/fields).

export type LabelRequirement = {
  readonly key: string
  readonly operator: 'in' | 'notin' | 'exists' | 'absent' | 'gt' | 'lt'
  readonly values: readonly string[]
}

export type FieldRequirement = { readonly path: string; readonly isEqual: boolean; readonly value: string }

/** A malformed selector; the message goes to the client. */
export class SelectorError extends Error {
  override name = 'SelectorError'
}

const nameLimit = 63
const prefixLimit = 253
const namePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/
const dnsPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** A "qualified name": `name` or `dns.prefix/name`. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/')
  const name = key.slice(slash + 1)
  const prefix = slash < 0 ? undefined : key.slice(0, slash)
  if (prefix !== undefined && (prefix.length > prefixLimit || !dnsPattern.test(prefix))) return false
  return name.length <= nameLimit && namePattern.test(name)
}

export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= nameLimit && namePattern.test(value))
}

type Token = { readonly kind: 'word' | 'symbol'; readonly text: string }

function tokenize(source: string): Token[] {
  const tokens: Token[] = []
  const pattern = /\s*(?:(==|!=|[=!,()<>])|([^\s=!,()<>]+))/y
  while (pattern.lastIndex < source.trimEnd().length) {
    const match = pattern.exec(source)
    if (match === null) throw new SelectorError(`unable to parse requirement: ${source}`)
    tokens.push(match[1] === undefined ? { kind: 'word', text: match[2]! } : { kind: 'symbol', text: match[1] })
  }
  return tokens
}

class LabelParser {
  readonly #tokens: Token[]
  #at = 0

  constructor(source: string) {
    this.#tokens = tokenize(source)
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = []
    while (this.#at < this.#tokens.length) {
      requirements.push(this.#requirement())
      if (this.#at === this.#tokens.length) break
      this.#expect(',')
      if (this.#at === this.#tokens.length) throw this.#unexpected("identifier after ','")
    }
    return requirements
  }

  #requirement(): LabelRequirement {
    if (this.#take('!')) return { key: this.#key(), operator: 'absent', values: [] }
    const key = this.#key()
    if (this.#take('=') || this.#take('==')) return { key, operator: 'in', values: [this.#value()] }
    if (this.#take('!=')) return { key, operator: 'notin', values: [this.#value()] }
    if (this.#take('>')) return { key, operator: 'gt', values: [this.#integer()] }
    if (this.#take('<')) return { key, operator: 'lt', values: [this.#integer()] }
    if (this.#take('in')) return { key, operator: 'in', values: this.#set() }
    if (this.#take('notin')) return { key, operator: 'notin', values: this.#set() }
    return { key, operator: 'exists', values: [] }
  }

  #set(): string[] {
    this.#expect('(')
    const values = [this.#value()]
    while (this.#take(',')) values.push(this.#value())
    this.#expect(')')
    return [...new Set(values)]
  }

  #key(): string {
    const token = this.#tokens[this.#at++]
    if (token?.kind !== 'word') throw this.#unexpected('identifier')
    if (!isLabelKey(token.text))
      throw new SelectorError(
        `key: Invalid value: "${token.text}": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
      )
    return token.text
  }

  /** Reads a value, which may be empty: `a=` and `a in (,b)`. */
  #value(): string {
    const token = this.#tokens[this.#at]
    if (token === undefined || token.text === ',' || token.text === ')') return ''
    this.#at++
    if (token.kind !== 'word') throw this.#unexpected('identifier')
    if (!isLabelValue(token.text))
      throw new SelectorError(
        `values: Invalid value: "${token.text}": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
      )
    return token.text
  }

  #integer(): string {
    const value = this.#value()
    if (!/^-?\d{1,18}$/.test(value))
      throw new SelectorError(`for 'Gt', 'Lt' operators, the value must be an integer, not "${value}"`)
    return value
  }

  #take(text: string): boolean {
    if (this.#tokens[this.#at]?.text !== text) return false
    this.#at++
    return true
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected(`'${text}'`)
  }

  #unexpected(expected: string): SelectorError {
    const found = this.#tokens[Math.min(this.#at, this.#tokens.length) - (this.#at > 0 ? 1 : 0)]?.text ?? ''
    return new SelectorError(`unable to parse requirement: found '${found}', expected: ${expected}`)
  }
}

/** Reads a label selector; throws SelectorError. The empty text selects everything. */
export function parseLabelSelector(source: string): readonly LabelRequirement[] {
  return new LabelParser(source).parse()
}

/** Reads a field selector: `path=value`, `==`, `!=`, joined by commas; `\` escapes `,` `=` and `\`. */
export function parseFieldSelector(source: string): readonly FieldRequirement[] {
  const terms = source.match(/(?:\\.|[^,\\])+/gs) ?? []
  return terms.map((term) => {
    const match = /^([^=!\\]+)(!=|==|=)((?:\\[\\,=]|[^\\,=])*)$/s.exec(term)
    if (match === null) throw new SelectorError(`invalid selector: '${source}'; can't understand '${term}'`)
    return { path: match[1]!.trim(), isEqual: match[2] !== '!=', value: match[3]!.replace(/\\(.)/gs, '$1') }
  })
}

export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined
    switch (operator) {
      case 'exists':
        return value !== undefined
      case 'absent':
        return value === undefined
      case 'in':
        return value !== undefined && values.includes(value)
      case 'notin':
        return value === undefined || !values.includes(value)
      default: {
        if (value === undefined || !/^-?\d{1,18}$/.test(value)) return false
        return operator === 'gt' ? BigInt(value) > BigInt(values[0]!) : BigInt(value) < BigInt(values[0]!)
      }
    }
  })
}
