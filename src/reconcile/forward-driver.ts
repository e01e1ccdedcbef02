// Our rules in others' chains on the forward hook that drop or reject by default (Docker, ufw, an administrator's firewall), and the look at
// what else of others is in pods' way. An accept in our own table cannot overrule such chains, so two rules in each accept packets from and
// to pods. Ownership: the rule's comment alone.
import { type LegacyTable, readLegacyTables } from '#/kernel/legacy-tables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { isOurTable } from '#/model/names.ts'
import { type DesiredNetwork, type NeededPassage } from '#/model/network.ts'
import { problem } from '#/model/problems.ts'
import { compileRule } from '#/wire/nftables/compile.ts'
import { type ForeignRule, foreignRule } from '#/wire/nftables/foreign-rule.ts'
import { encodeComment, type NftFamilyName } from '#/wire/nftables/messages.ts'
import { arpHookNames, deviceHookNames, hookNumbers, inetIngress, policyNumbers } from '#/wire/nftables/numbers.ts'
import { type NftRule } from '#/wire/nftables/ruleset.ts'
import { type ChainPlace, placeRuleCommand } from '#/wire/nftables/place.ts'
import { type Blockade, type Change, type Comparison, type Driver } from './driver.ts'
import { Contests } from './contest.ts'
import { type BaseChain, inspect } from './firewall/inspect.ts'
import { legacyBaseChains } from './firewall/legacy-chains.ts'
import { type HookName } from './firewall/passages.ts'
import { edited, editOf } from './firewall/place.ts'

const commentPrefix = 'causeway: forward pods of '
const isOurs = ({ comment }: ForeignRule): boolean => comment?.startsWith(commentPrefix) === true

function rulesFor(devices: readonly string[]): NftRule[] {
  return devices.flatMap((name) =>
    (['iifname', 'oifname'] as const).map((field): NftRule => ({
      comment: `${commentPrefix}${name}`,
      match: [{ kind: 'device', field, name }],
      action: { kind: 'accept' },
    })),
  )
}

/** iptables-restore shortens the padding of a device's name in our rules. They still do the same. */
const essence = (does: string): string => does.replaceAll(/(00)+\)/g, ')')

const asForeign = (rule: NftRule): ForeignRule =>
  foreignRule(0n, encodeComment(rule.comment), compileRule(rule, 'inet'))

const NFT_TABLE_F_DORMANT = 1
/** Only the program that made the table may change it. */
const NFT_TABLE_F_OWNER = 2

/** A chain with more rules than these is not followed: what becomes of packets in there counts as unknown. */
const maxRulesFollowed = 1000
/**
 * Chains that base chains jump to are followed anew after this time, or when a base chain has changed. A proxy of services rewrites its
 * chains every second, and following them may take as long as a tenth of one.
 */
const inspectionPauseMs = 10_000

/** The families whose forward chains decide about pods' packets: there our rules belong. Those of the others are only looked at. */
const routedFamilies = new Set<NftFamilyName>(['inet', 'ip', 'ip6'])
const ipHookNames = new Map(
  (['prerouting', 'input', 'forward', 'output', 'postrouting'] as const).map((name) => [
    hookNumbers[name] as number,
    name,
  ]),
)

function hookName(family: NftFamilyName, number: number): HookName | undefined {
  if (family === 'arp') return arpHookNames[number]
  if (family === 'netdev') return deviceHookNames[number]
  return family === 'inet' && number === inetIngress ? 'ingress' : ipHookNames.get(number)
}

type Found = ChainPlace & {
  readonly hook: HookName
  /** For a chain on ingress or egress. */
  readonly devices?: readonly string[]
  readonly type: string
  readonly dropsByPolicy: boolean
  readonly isLocked: boolean
  readonly tableHandle: bigint
}

/** A base chain with its rules, ours as they are to be. */
type Seen = { readonly found: Found; readonly rules: readonly ForeignRule[] }

export type ForwardDriverDeps = {
  /** A monotonic clock. */
  readonly nowMs?: () => number
  /** Reads the tables of legacy iptables, which nf_tables does not show. */
  readonly legacyTables?: () => readonly LegacyTable[]
}

export class ForwardDriver implements Driver {
  readonly kind = 'forward'
  readonly #client: NftClient
  readonly #legacyTables: () => readonly LegacyTable[]
  readonly #nowMs: () => number
  readonly #contests: Contests
  /** Chains whose last edit failed: what they have counts, not what they should have. */
  readonly #refused = new Set<string>()
  #contested: readonly Blockade[] = []
  #inspected: { readonly subject: string; readonly atMs: number; readonly blockades: readonly Blockade[] } | undefined

  constructor(
    client: NftClient,
    { nowMs = () => performance.now(), legacyTables = readLegacyTables }: ForwardDriverDeps = {},
  ) {
    this.#client = client
    this.#legacyTables = legacyTables
    this.#nowMs = nowMs
    this.#contests = new Contests(nowMs)
  }

  /** What the last comparison found in pods' way, and who contests our rules. */
  get blockades(): readonly Blockade[] {
    return [...(this.#inspected?.blockades ?? []), ...this.#contested]
  }

  async compare({ forwardFor, passage }: DesiredNetwork): Promise<Comparison> {
    const wanted = rulesFor(forwardFor)
    const changes: Change[] = []
    const leftovers: Change[] = []
    const keys: string[] = []
    const contested: Blockade[] = []
    const seen: Seen[] = []
    for (const found of await this.#baseChains()) {
      if (found.hook !== 'forward' || found.family === 'arp') {
        const rules = passage && (await this.#rulesToFollow(found))
        if (rules) seen.push({ found, rules })
        continue
      }
      const rules = (await this.#client.readRules(found)) ?? []
      const key = keyOf(found)
      const { edit, isWanted } = editOf(
        { dropsByPolicy: found.dropsByPolicy, rules },
        canHoldOurs(found) ? wanted.length : 0,
        isOurs,
        (rule, index) => essence(rule.does) === essence(asForeign(wanted[index]!).does),
      )
      const isPaused = edit?.isInserting === true && !this.#contests.mayCorrect(key)
      if (isWanted && !isPaused) keys.push(key)
      const contest = this.#contests.contestOf(key)
      if (isWanted && contest) contested.push(contestProblem(key, contest))
      if (edit === undefined || isPaused) {
        seen.push({ found, rules })
        continue
      }
      const insert = isWanted ? wanted : []
      const change = this.#change(found, { insert, before: edit.before, remove: edit.remove })
      if (change.verb === 'delete') leftovers.push(change)
      else changes.push(change)
      seen.push({ found, rules: this.#refused.has(key) ? rules : edited(rules, edit, insert.map(asForeign)) })
    }
    this.#contested = contested
    await this.#inspect(seen, passage)
    return { keys, changes, leftovers, failures: new Map() }
  }

  /** Looks for what is in pods' way, unless nothing has changed since that was done a moment ago. */
  async #inspect(seen: readonly Seen[], passage: NeededPassage | undefined): Promise<void> {
    if (passage === undefined) {
      this.#inspected = undefined
      return
    }
    const legacy = legacyBaseChains(this.#legacyTables())
    const subject = subjectOf(seen, legacy, passage)
    const before = this.#inspected
    if (before?.subject === subject && this.#nowMs() - before.atMs < inspectionPauseMs) return
    const read = new Map<string, Promise<readonly ForeignRule[] | undefined>>()
    const chains = seen.map(({ found, rules }) => this.#followable(found, rules, read))
    this.#inspected = { subject, atMs: this.#nowMs(), blockades: await inspect([...legacy, ...chains], passage) }
  }

  /** Base chains of others that decide about IP packets or bridged frames. */
  async #baseChains(): Promise<Found[]> {
    const facts = new Map(this.#client.readTableFacts().map((table) => [`${table.family} ${table.name}`, table]))
    const chains = await this.#client.listBaseChains()
    return chains.flatMap(({ family, table, chain, type, number, policy, devices }): Found[] => {
      const { flags, handle } = facts.get(`${family} ${table}`) ?? { flags: 0, handle: 0n }
      const hook = hookName(family, number)
      if (isOurTable(table) || hook === undefined) return []
      // a dormant table does nothing
      if ((flags & NFT_TABLE_F_DORMANT) !== 0) return []
      const dropsByPolicy = policy === policyNumbers.drop
      return [
        {
          family,
          table,
          chain,
          type,
          hook,
          ...(devices.length > 0 && { devices }),
          dropsByPolicy,
          isLocked: (flags & NFT_TABLE_F_OWNER) !== 0,
          tableHandle: handle,
        },
      ]
    })
  }

  /** The rules of a chain; undefined when they cannot be followed: it has too many, or changes all the time. */
  async #rulesToFollow(place: ChainPlace): Promise<readonly ForeignRule[] | undefined> {
    try {
      return await this.#client.readRules(place, maxRulesFollowed)
    } catch (error) {
      if (error instanceof KernelError) return undefined
      throw error
    }
  }

  /** `read` has the chains that were read already, of all tables. */
  #followable(
    { family, table, chain, hook, type, devices, dropsByPolicy }: Found,
    rules: readonly ForeignRule[],
    read: Map<string, Promise<readonly ForeignRule[] | undefined>>,
  ): BaseChain {
    return {
      tool: 'nft',
      family,
      table,
      chain,
      hook,
      isNat: type === 'nat',
      ...(devices && { devices }),
      dropsByPolicy,
      rulesOf: async (name) => {
        if (name === chain) return rules
        const place = { family, table, chain: name }
        return read.getOrInsertComputed(keyOf(place), () => this.#rulesToFollow(place))
      },
      readSet: async (name) => {
        try {
          return await this.#client.readElements({ family, table }, name)
        } catch (error) {
          if (error instanceof KernelError) return undefined
          throw error
        }
      },
    }
  }

  #change(
    place: ChainPlace,
    edit: {
      readonly insert: readonly NftRule[]
      readonly before: bigint | undefined
      readonly remove: readonly bigint[]
    },
  ): Change {
    const key = keyOf(place)
    const chain = `${place.family} ${place.table} ${place.chain}`
    const commands = edit.insert.map((rule) => placeRuleCommand(place, rule, edit.before))
    return {
      verb: edit.insert.length === 0 ? 'delete' : edit.remove.length === 0 ? 'add' : 'change',
      key,
      commands: [...edit.remove.map((handle) => `nft delete rule ${chain} handle ${handle}`), ...commands],
      work: {
        call: () => {
          this.#refused.add(key)
          this.#client.editChain(place, edit)
        },
      },
      done: () => {
        this.#refused.delete(key)
        if (edit.insert.length > 0) this.#contests.corrected(key)
      },
    }
  }
}

function canHoldOurs({ family, type, isLocked }: Found): boolean {
  return routedFamilies.has(family) && type === 'filter' && !isLocked
}

function keyOf({ family, table, chain }: ChainPlace): string {
  return `${family} ${table} ${chain}`
}

/** A text that changes when a base chain, or what must pass, does. */
function subjectOf(seen: readonly Seen[], legacy: readonly BaseChain[], passage: NeededPassage): string {
  const { podDevices, podCIDRs, clusterCIDRs, isNative, underlayDevices, tunnel } = passage
  return [
    ...seen.map(
      ({ found, rules }) =>
        `${keyOf(found)} ${found.tableHandle} ${found.devices?.join() ?? ''} ${found.dropsByPolicy} ${rules.map(({ handle }) => handle).join()}`,
    ),
    ...legacy.map(({ family, table, chain, dropsByPolicy }) => `legacy ${family} ${table} ${chain} ${dropsByPolicy}`),
    [podDevices, podCIDRs, clusterCIDRs, isNative, underlayDevices, tunnel?.port, tunnel?.ends.length].join(' '),
  ].join('\n')
}

function contestProblem(key: string, { count, pauseMs }: { count: number; pauseMs: number }): Blockade {
  const message = `somebody takes out or moves the accepts for pods in chain ${key}: they were put back ${count} times in a row, and are put back again at the earliest ${pauseMs / 1000} s after the last time`
  return { problem: problem('CW7004', `chain/${key}`, message), cutsPodsOff: false }
}
