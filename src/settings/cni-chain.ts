// The CNI plugins that may run after our own.
import { wrongValue } from './parsers.ts'
import { type Parser } from './setting.ts'

/** The names of reference plugins that may be chained (github.com/containernetworking/plugins). */
export const chainable = ['portmap', 'bandwidth', 'tuning'] as const
export type Chained = (typeof chainable)[number]

/** The word for an empty chain: a variable that is empty counts as not set. */
export const noChain = 'none'

function isChained(name: string): name is Chained {
  return (chainable as readonly string[]).includes(name)
}

/** Plugin names separated by commas, in the order in which they run; `none` stands for an empty list. */
export const cniChain: Parser<readonly Chained[]> = (text, name) => {
  if (text === noChain) return []
  const names = text
    .split(',')
    .map((each) => each.trim())
    .filter(Boolean)
  const known = names.filter(isChained)
  if (names.length === 0 || known.length < names.length || new Set(names).size < names.length)
    throw wrongValue(name, text, `some of ${chainable.join(', ')}, each once, or ${noChain}`)
  return known
}
