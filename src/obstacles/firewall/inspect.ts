// Whether firewalls of others let through what pods depend on: each class of packets is followed through each base chain that it meets.
// Tells what is dropped for sure, by which rule, and what mends it.
import { type Family } from '#/lib/addr.ts'
import { type NeededPassage } from '#/model/network.ts'
import { problem } from '#/model/problems.ts'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { type NftFamilyName } from '#/wire/nftables/messages.ts'
import { type Blockade } from './blockade.ts'
import { type ReadSet, stepOf } from './nft-rule.ts'
import { type HookName, type Passage, passagesOf, type Purpose } from './passages.ts'
import { type PacketClass } from './packet.ts'
import { remedyFor } from './remedy.ts'
import { ruleText } from './rule-text.ts'
import { type Outcome, walk, type WalkInput } from './walk.ts'

/** A base chain of another program. */
export type BaseChain = {
  /** `legacy`: of the old iptables, whose tables nft does not show. */
  readonly tool: 'nft' | 'legacy'
  readonly family: NftFamilyName
  readonly table: string
  readonly chain: string
  readonly hook: HookName
  /** Chains of a hook are entered from the lowest to the highest. */
  readonly priority: number
  /** Whether it decides about addresses alone (type nat), and so sees the first packet of a connection only. */
  readonly isNat: boolean
  /** The devices whose packets enter it, for a chain on ingress or egress. */
  readonly devices?: readonly string[]
  readonly dropsByPolicy: boolean
  /** The rules of a chain of the table; undefined when they cannot be read, or are too many. */
  readonly rulesOf: (chain: string) => Promise<readonly ForeignRule[] | undefined>
  readonly readSet: ReadSet
}

const codes = {
  pods: 'CW7001',
  bridged: 'CW7006',
  tunnel: 'CW7002',
  node: 'CW7003',
  source: 'CW7005',
  destination: 'CW7005',
} as const satisfies Record<Purpose, string>

/** Whether the packets of a passage enter the chain. */
export function concerns({ packet, hooks, layer }: Passage, { family, hook, isNat, devices = [] }: BaseChain): boolean {
  if (!hooks.includes(hook) || (layer === 'nat') !== isNat) return false
  if (layer === 'device') {
    const device = hook === 'ingress' ? packet.iif : packet.oif
    return device.kind === 'named' && devices.includes(device.name)
  }
  if (layer === 'bridge' || layer === 'arp') return family === layer
  return family === 'inet' || family === (packet.family === 4 ? 'ip' : 'ip6')
}

/** What a chain does to packets that should pass it as they are. */
export type Hit = { readonly passage: Passage; readonly outcome: Extract<Outcome, { kind: 'dropped' | 'translated' }> }

/** How packets of a class are followed through the chain. */
export function walkOf({ chain, dropsByPolicy, rulesOf, readSet }: BaseChain, packet: PacketClass): WalkInput {
  return { chain, dropsByPolicy, rulesOf, stepOf: (rule) => stepOf(rule, packet, readSet) }
}

const placeOf = ({ outcome }: Hit): string => `${outcome.chain} ${outcome.number ?? 'policy'}`

/** `filtered` is as in passagesOf. */
export async function inspect(
  chains: readonly BaseChain[],
  needed: NeededPassage,
  filtered: readonly Family[] = [],
): Promise<Blockade[]> {
  const passages = passagesOf(needed, filtered)
  const blockades: Blockade[] = []
  for (const chain of chains) {
    const hits: Hit[] = []
    for (const passage of passages.filter((each) => concerns(each, chain))) {
      const outcome = await walk(walkOf(chain, passage.packet))
      if (outcome.kind === 'dropped' || outcome.kind === 'translated') hits.push({ passage, outcome })
    }
    const ofPods = new Set(hits.filter(({ passage }) => passage.purpose === 'pods').map(placeOf))
    // a rule that drops what pods send to other nodes is not told twice for dropping what they send to each other
    const told = hits.filter((hit) => hit.passage.purpose !== 'bridged' || !ofPods.has(placeOf(hit)))
    const byPlace = Map.groupBy(told, (hit) => `${hit.passage.purpose} ${placeOf(hit)}`)
    for (const same of byPlace.values()) blockades.push(await blockadeOf(chain, same, needed))
  }
  return blockades
}

const whatIsDone = {
  pods: 'drops',
  bridged: 'drops',
  tunnel: 'drops',
  node: 'drops',
  source: 'replaces the source address of',
  destination: 'replaces the destination address of',
} as const satisfies Record<Purpose, string>

const byBridge = ', which the bridge hands to it since net.bridge.bridge-nf-call-iptables or -ip6tables is 1'

/** What is told of a chain. `hits` are those of one purpose by one rule. */
export async function blockadeOf(base: BaseChain, hits: readonly Hit[], needed: NeededPassage): Promise<Blockade> {
  const { passage, outcome } = hits[0]!
  const { purpose } = passage
  const whats = new Set(hits.map((hit) => hit.passage.what))
  const families = [...new Set(hits.map((hit) => `IPv${hit.passage.packet.family}`))].join(' and ')
  const { tool, family, table, chain } = base
  const rule = outcome.rule && { handle: outcome.rule.handle, number: outcome.number ?? 0 }
  const byWhat = outcome.rule
    ? `rule ${outcome.number} of chain ${outcome.chain}${tool === 'nft' ? ` (handle ${outcome.rule.handle})` : ''}: ${ruleText(outcome.rule)}`
    : `the policy of chain ${chain}`
  const where = `${tool === 'legacy' ? 'legacy ' : ''}${family} ${table} ${chain}`
  const place = {
    tool,
    family,
    table,
    baseChain: chain,
    baseRules: (await base.rulesOf(chain)) ?? [],
    isOfDevice: base.devices !== undefined,
    chain: outcome.chain,
  }
  return {
    problem: problem(
      codes[purpose],
      `chain/${where}`,
      `table ${tool === 'legacy' ? 'legacy ' : ''}${family} ${table} ${whatIsDone[purpose]} ${[...whats].join(' and ')} (${families})${purpose === 'bridged' ? byBridge : ''}: ${byWhat}`,
      { remedy: remedyFor({ ...place, ...(rule && { rule }) }, purpose, needed) },
    ),
    // a pod answers to another source address as well
    cutsPodsOff: purpose !== 'node' && purpose !== 'source',
  }
}
