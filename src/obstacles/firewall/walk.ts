// Follows a class of packets through a base chain and the chains that it jumps to, and tells whether it is dropped there for sure, or
// gets another address. Pure but for reading chains. Whatever cannot be told counts as neither: an alarm must be true.
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { both, type Level } from './packet.ts'
import { type Step } from './nft-rule.ts'

export type Outcome =
  /** `doubt`: the first rule that drops some of the packets, or maybe all: which, cannot be told. */
  | { readonly kind: 'accepted' | 'unknown'; readonly doubt?: RulePlace }
  /** `rule` is absent when the chain's policy drops; `number` counts the rules of that chain from 1. */
  | {
      readonly kind: 'dropped' | 'translated'
      readonly chain: string
      readonly rule?: ForeignRule
      readonly number?: number
    }

export type RulePlace = { readonly chain: string; readonly rule: ForeignRule; readonly number: number }

export type WalkInput = {
  readonly chain: string
  readonly dropsByPolicy: boolean
  /** The rules of a chain; undefined when there are too many to read, or none can be read. */
  readonly rulesOf: (chain: string) => Promise<readonly ForeignRule[] | undefined>
  readonly stepOf: (rule: ForeignRule) => Step | Promise<Step>
}

/** The kernel itself follows 16 jumps at most (NFT_JUMP_STACK_SIZE). */
const maxDepth = 16
/** A chain may be entered from many rules; a class of packets that needs more rules than these is not followed to its end. */
const maxRules = 20_000

const cannotTell: Outcome = { kind: 'unknown' }

class Walk {
  readonly #input: WalkInput
  #rulesLeft = maxRules
  doubt: RulePlace | undefined

  constructor(input: WalkInput) {
    this.#input = input
  }

  /** Returns the outcome when it is decided for all packets, or cannot be told; undefined when they go on after the chain. */
  async follow(chain: string, entering: Level, depth: number): Promise<Outcome | undefined> {
    const rules = depth < maxDepth ? await this.#input.rulesOf(chain) : undefined
    if (rules === undefined) return cannotTell
    let here = entering
    for (const [index, rule] of rules.entries()) {
      if (this.#rulesLeft-- <= 0) return cannotTell
      const step = this.#input.stepOf(rule)
      // a turn of the event loop for each of thousands of rules would cost more than the rules
      const { level, verdict } = step instanceof Promise ? await step : step
      const reached = both(level, here)
      // what a rule does to single ports or addresses tells nothing of the others
      if (verdict.kind === 'continue' || reached === 'none' || reached === 'some') continue
      switch (verdict.kind) {
        case 'accept':
          // where they may have been accepted, no later drop is one of all of them
          return reached === 'all' ? { kind: 'accepted' } : cannotTell
        case 'other':
          return cannotTell
        case 'drop':
          if (reached === 'all') return { kind: 'dropped', chain, rule, number: index + 1 }
          this.doubt ??= { chain, rule, number: index + 1 }
          break
        case 'translate':
          return reached === 'all' ? { kind: 'translated', chain, rule, number: index + 1 } : cannotTell
        case 'return':
          break
        case 'jump':
        case 'goto': {
          const outcome = await this.follow(verdict.chain, reached, depth + 1)
          if (outcome) return outcome
          break
        }
        default:
          return verdict satisfies never
      }
      // all packets that came here have left the chain
      if (level === 'all' && verdict.kind !== 'jump') return undefined
      if (verdict.kind === 'return' || verdict.kind === 'goto') here = 'maybe'
    }
    return undefined
  }
}

/** What becomes of the packets in a base chain. */
export async function walk(input: WalkInput): Promise<Outcome> {
  const steps = new Walk(input)
  const followed = await steps.follow(input.chain, 'all', 0)
  const outcome: Outcome =
    followed ?? (input.dropsByPolicy ? { kind: 'dropped', chain: input.chain } : { kind: 'accepted' })
  const isPassed = outcome.kind === 'accepted' || outcome.kind === 'unknown'
  return isPassed && steps.doubt ? { ...outcome, doubt: steps.doubt } : outcome
}
