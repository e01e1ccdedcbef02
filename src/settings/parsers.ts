// Parsers of values, for settings and for the command-line options that give settings.
import { isAbsolute } from 'node:path'
import { Prefix } from '#/lib/addr.ts'
import { messageOf } from '#/lib/log.ts'
import { neverPods } from '#/model/special-ranges.ts'
import { type Parser, SettingError } from './setting.ts'

/** The error for a value that cannot be used; `name` is a variable, or an option with its dashes. */
export function wrongValue(name: string, text: string, expected: string): SettingError {
  return new SettingError(`${name}${name.startsWith('--') ? ' ' : '='}"${text}": expected ${expected}`)
}

export function numberFrom(min: number, max: number): Parser<number> {
  return (text, name) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw wrongValue(name, text, `a number from ${min} to ${max}`)
  }
}

/** Parses a number of seconds; the value is in milliseconds. */
export function secondsFrom(min: number, max: number): Parser<number> {
  const seconds = numberFrom(min, max)
  return (text, name) => seconds(text, name) * 1000
}

export function oneOf<const T extends string>(...choices: readonly T[]): Parser<T> {
  return (text, name) => {
    const choice = choices.find((each) => each === text)
    if (choice === undefined) throw wrongValue(name, text, `one of ${choices.join(', ')}`)
    return choice
  }
}

/** Parses one of two words; the value is true for the word `yes`, which is one of the two. */
export function either(words: readonly [string, string], yes: string): Parser<boolean> {
  const word = oneOf(...words)
  return (text, name) => word(text, name) === yes
}

export const absolutePath: Parser<string> = (text, name) => {
  if (!isAbsolute(text)) throw wrongValue(name, text, 'an absolute path')
  return text
}

export const anyText: Parser<string> = (text) => text

export const nodeName: Parser<string> = (text, name) => {
  if (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) return text
  throw wrongValue(name, text, "the name of this node's Node object")
}

/** CIDRs separated by commas, at least one; none overlaps another, and none has only addresses that are never routed. */
export const podCIDRs: Parser<readonly Prefix[]> = (text, name) => {
  const prefixes = text
    .split(',')
    .filter(Boolean)
    .map((each) => {
      try {
        return Prefix.parse(each.trim())
      } catch (error) {
        throw new SettingError(`${name}: ${messageOf(error)}`)
      }
    })
  if (prefixes.length === 0)
    throw new SettingError(`${name} is empty: expected the CIDRs of all pods, such as 10.244.0.0/16,fd10:244::/48`)
  for (const [index, prefix] of prefixes.entries()) {
    const other = prefixes.slice(0, index).find((each) => each.overlaps(prefix))
    if (other) throw new SettingError(`${name}: ${prefix} overlaps ${other}`)
    const special = neverPods.find(({ prefix: range }) => range.contains(prefix))
    if (special)
      throw new SettingError(`${name}: ${prefix} is in ${special.prefix}, ${special.what}: no pod can have one`)
  }
  return prefixes
}
