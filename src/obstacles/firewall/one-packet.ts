// What firewalls do to one packet, whose fields are all known: the chains of a hook in their order, until one drops it.
import { isOurTable } from '#/model/names.ts'
import { type NeededPassage } from '#/model/network.ts'
import { type Blockade } from './blockade.ts'
import { type BaseChain, blockadeOf, concerns, walkOf } from './inspect.ts'
import { type Passage } from './passages.ts'
import { ruleText } from './rule-text.ts'
import { type Translation, translationsOf } from './translations.ts'
import { type Outcome, type RulePlace, walk } from './walk.ts'

export type Followed = {
  /** How many chains were looked at. */
  readonly chains: number
  /** Chains of which it cannot be told what they do to the packet. */
  readonly unsure: readonly string[]
  /** Set when another's chain drops the packet. */
  readonly blockade?: Blockade
  /** Set when a chain of our own drops it: which rule does. */
  readonly refusal?: string
}

const nameOf = ({ tool, family, table, chain }: BaseChain): string =>
  `${tool === 'legacy' ? 'legacy ' : ''}${family} ${table} ${chain}`

const inOrder = (chains: readonly BaseChain[]): BaseChain[] => chains.toSorted((a, b) => a.priority - b.priority)

/** Follows a packet through the chains of its hooks that decide whether it passes. */
export async function follow(chains: readonly BaseChain[], passage: Passage, needed: NeededPassage): Promise<Followed> {
  const own = inOrder(chains.filter((chain) => concerns(passage, chain)))
  const unsure: string[] = []
  for (const chain of own) {
    const outcome = await walk(walkOf(chain, passage.packet))
    if (outcome.kind !== 'dropped') {
      const doubt = 'doubt' in outcome ? outcome.doubt : undefined
      if (outcome.kind === 'unknown' || doubt) unsure.push(nameOf(chain) + doubtText(doubt))
      continue
    }
    const found = { chains: own.length, unsure }
    if (isOurTable(chain.table)) return { ...found, refusal: refusalOf(chain, outcome) }
    return { ...found, blockade: await blockadeOf(chain, [{ passage, outcome }], needed) }
  }
  return { chains: own.length, unsure }
}

function doubtText(doubt: RulePlace | undefined): string {
  return doubt === undefined ? '' : ` (rule ${doubt.number} of chain ${doubt.chain}: ${ruleText(doubt.rule)})`
}

/** Our comments end with a fingerprint of the rule. */
export function withoutFingerprint(comment: string): string {
  return comment.replace(/ \[[0-9a-f]{8}\]$/, '')
}

function refusalOf(chain: BaseChain, outcome: Extract<Outcome, { kind: 'dropped' | 'translated' }>): string {
  const { family, table } = chain
  const rule = outcome.rule
  const byRule =
    rule && `rule ${outcome.number} of chain ${outcome.chain} (${withoutFingerprint(rule.comment ?? ruleText(rule))})`
  return `Causeway's own table ${family} ${table} drops it: ${byRule ?? `the policy of chain ${chain.chain}`}`
}

/** The translations that a packet may get in chains of type nat at a hook; those of the first chain that has any. */
export async function translations(
  chains: readonly BaseChain[],
  passage: Passage,
  pause: () => Promise<void>,
): Promise<Translated | undefined> {
  for (const chain of inOrder(chains.filter((each) => concerns(passage, each)))) {
    const found = await translationsOf(walkOf(chain, passage.packet), pause)
    if (found.length > 0) return { chain, chainName: nameOf(chain), found }
  }
  return undefined
}

export type Translated = {
  readonly chain: BaseChain
  readonly chainName: string
  readonly found: readonly Translation[]
}
