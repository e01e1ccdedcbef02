// A cache of decoded attributes. A neighbour sends the same attributes with many prefixes: they are decoded once, and routes share the
// objects.
import { type AttributeBlock, decodeAttributes } from './attributes.ts'
import { type WireSettings } from './values.ts'

/** Limits what a neighbour can make the cache hold: two generations of so many blocks, each of at most so many octets. */
const generationBlocks = 512
const longestBytes = 512

export class AttributeCache {
  #young = new Map<string, AttributeBlock>()
  #old = new Map<string, AttributeBlock>()
  #settings: WireSettings | undefined

  /**
   * Like decodeAttributes, for octets given as characters. Cached blocks are valid only for the same settings object: pass the same one
   * each time.
   */
  decode(octets: string, settings: WireSettings): AttributeBlock {
    if (octets.length > longestBytes) return decodeAttributes(Buffer.from(octets, 'latin1'), settings)
    if (settings !== this.#settings) {
      this.#settings = settings
      this.#young.clear()
      this.#old.clear()
    }
    const young = this.#young.get(octets)
    if (young !== undefined) return young
    const block = this.#old.get(octets) ?? decodeAttributes(Buffer.from(octets, 'latin1'), settings)
    if (this.#young.size >= generationBlocks) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(octets, block)
    return block
  }
}
