// Our rules in others' chains on the forward hook that drop or reject by default (Docker, ufw, an administrator's firewall), and the look at
// what else of others is in pods' way. An accept in our own table cannot overrule such chains, so two rules in each accept packets from and
// to pods. Ownership: the rule's comment alone.
import { readLegacyTables } from '#/kernel/legacy-tables.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { type Family, families } from '#/lib/addr.ts'
import { type LegacyTable } from '#/wire/xtables/legacy-table.ts'
import { isOurTable } from '#/model/names.ts'
import { type DesiredNetwork, type NeededPassage } from '#/model/network.ts'
import { problem } from '#/model/problems.ts'
import { readSysctl } from '#/sys/sysctl.ts'
import { compileRule } from '#/wire/nftables/compile.ts'
import { type ForeignRule, foreignRule } from '#/wire/nftables/foreign-rule.ts'
import { encodeComment, type NftFamilyName } from '#/wire/nftables/messages.ts'
import { type NftRule } from '#/wire/nftables/ruleset.ts'
import { type ChainPlace, placeRuleCommand } from '#/wire/nftables/place.ts'
import { type Blockade, type Change, type Comparison, type Driver } from './driver.ts'
import { Contests } from './contest.ts'
import { findBaseChains, followable, type Found, keyOf, rulesToFollow, type Seen } from './firewall/base-chains.ts'
import { type BaseChain, inspect } from '#/obstacles/firewall/inspect.ts'
import { legacyBaseChains } from '#/obstacles/firewall/legacy-chains.ts'
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

/**
 * Chains that base chains jump to are followed anew after this time, or when a base chain has changed. A proxy of services rewrites its
 * chains every second, and following them may take as long as a tenth of one.
 */
const inspectionPauseMs = 10_000

/** The families whose forward chains decide about pods' packets: there our rules belong. Those of the others are only looked at. */
const routedFamilies = new Set<NftFamilyName>(['inet', 'ip', 'ip6'])

export type ForwardDriverDeps = {
  /** A monotonic clock. */
  readonly nowMs?: () => number
  /** Reads the tables of legacy iptables, which nf_tables does not show. */
  readonly legacyTables?: () => readonly LegacyTable[]
  /** The families of which bridges hand frames between their ports to the rules for what is forwarded; read in this process's namespace. */
  readonly filtered?: () => readonly Family[]
}

const bridgeSysctls = { 4: 'net/bridge/bridge-nf-call-iptables', 6: 'net/bridge/bridge-nf-call-ip6tables' } as const

/** Those of the calling thread's namespace. */
export function filteredFamilies(): Family[] {
  return families.filter((family) => readSysctl(bridgeSysctls[family]) === '1')
}

export class ForwardDriver implements Driver {
  readonly kind = 'forward'
  readonly #client: NftClient
  readonly #legacyTables: () => readonly LegacyTable[]
  readonly #filtered: () => readonly Family[]
  readonly #nowMs: () => number
  readonly #contests: Contests
  /** Chains whose last edit failed: what they have counts, not what they should have. */
  readonly #refused = new Set<string>()
  #contested: readonly Blockade[] = []
  #inspected: { readonly subject: string; readonly atMs: number; readonly blockades: readonly Blockade[] } | undefined

  constructor(
    client: NftClient,
    {
      nowMs = () => performance.now(),
      legacyTables = () => readLegacyTables(),
      filtered = filteredFamilies,
    }: ForwardDriverDeps = {},
  ) {
    this.#filtered = filtered
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
    for (const found of await findBaseChains(this.#client)) {
      if (isOurTable(found.table)) continue
      if (found.hook !== 'forward' || found.family === 'arp') {
        const rules = passage && (await rulesToFollow(this.#client, found))
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
    const filtered = this.#filtered()
    const subject = `${subjectOf(seen, legacy, passage)}\n${filtered.join()}`
    const before = this.#inspected
    if (before?.subject === subject && this.#nowMs() - before.atMs < inspectionPauseMs) return
    const read = new Map<string, Promise<readonly ForeignRule[] | undefined>>()
    const chains = seen.map(({ found, rules }) => followable(this.#client, { found, rules }, read))
    this.#inspected = {
      subject,
      atMs: this.#nowMs(),
      blockades: await inspect([...legacy, ...chains], passage, filtered),
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
