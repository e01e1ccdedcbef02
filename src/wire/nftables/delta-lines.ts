// What a delta puts right, for people: a line for each difference.
import { type NftDelta, type NftElements } from './delta.ts'
import { keyText } from './keys.ts'
import { rangeText } from './ranges.ts'

/** Of one set at most so many elements are named. */
const shownElements = 8

export function deltaLines(delta: NftDelta): string[] {
  const { addSets = [], addKeySets = [], addChains = [], setRules = new Map<string, never>() } = delta
  return [
    ...[...addSets, ...addKeySets].map(({ name }) => `set ${name} missing`),
    ...addChains.map(({ name }) => `chain ${name} missing`),
    ...[...setRules.keys()].map((name) => `chain ${name} has other rules`),
    ...(delta.addElements ?? []).flatMap((elements) => elementLines(elements, 'lacks')),
    ...(delta.deleteElements ?? []).flatMap((elements) => elementLines(elements, 'has what is not ours:')),
    ...(delta.deleteChains ?? []).map((name) => `chain ${name} is not ours`),
    ...(delta.deleteSets ?? []).map((name) => `set ${name} is not ours`),
  ]
}

function elementLines(elements: NftElements, what: string): string[] {
  const { name } = elements.set
  const texts = textsOf(elements)
  const lines = texts.slice(0, shownElements).map((text) => `set ${name} ${what} ${text}`)
  return texts.length > shownElements ? [...lines, `set ${name} ${what} ${texts.length - shownElements} more`] : lines
}

function textsOf(elements: NftElements): string[] {
  return elements.kind === 'ranges' ? elements.ranges.map(rangeText) : elements.keys.map(keyText)
}
