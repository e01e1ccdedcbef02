// Our rules in others' chains on the forward hook that drop what no rule accepts (Docker, ufw, an administrator's firewall). An accept
// in our own table cannot overrule such chains, so two rules at the head of each accept packets from and to pods. Ownership: the
// rule's comment, or that the rule only accepts what comes from or goes to a device of ours.
import { type NftClient } from '#/kernel/nftables.ts'
import { tableName } from '#/model/names.ts'
import { type DesiredNetwork } from '#/model/network.ts'
import { compileRule } from '#/wire/nftables/compile.ts'
import { fingerprint } from '#/wire/nftables/expressions.ts'
import { hookNumbers, policyNumbers } from '#/wire/nftables/numbers.ts'
import { renderRule } from '#/wire/nftables/render.ts'
import { type NftRule } from '#/wire/nftables/ruleset.ts'
import { type ChainPlace } from '#/wire/nftables/transaction.ts'
import { type Change, type Comparison, type Driver } from './driver.ts'

const commentPrefix = 'causeway: forward pods of '

function rulesFor(devices: readonly string[]): NftRule[] {
  return devices.flatMap((name) =>
    (['iifname', 'oifname'] as const).map((field): NftRule => ({
      comment: `${commentPrefix}${name}`,
      match: [{ kind: 'device', field, name }],
      action: { kind: 'accept' },
    })),
  )
}

/**
 * What iptables-save and iptables-restore change in our rules: they add a counter, turn the comment into a match (xt_comment) and
 * shorten the padding of the device's name. The rules still do the same.
 */
const asXtables = new RegExp(`match [0-9a-f]*${Buffer.from(commentPrefix).toString('hex')}[0-9a-f]*; |counter; `, 'g')
const essence = (does: string): string => does.replaceAll(asXtables, '').replaceAll(/(00)+\)/g, ')')

const essenceOf = (rule: NftRule): string => essence(fingerprint(compileRule(rule, 'inet')))

export class ForwardDriver implements Driver {
  readonly kind = 'forward'
  readonly #client: NftClient
  /** What each rule does that Causeway makes for any datapath. */
  readonly #everMade: ReadonlySet<string>

  /** `podDevices` are the devices of all datapaths: rules for a datapath that is no longer in use are removed too. */
  constructor(client: NftClient, podDevices: readonly string[]) {
    this.#client = client
    this.#everMade = new Set(rulesFor(podDevices).map(essenceOf))
  }

  compare({ forwardFor }: DesiredNetwork): Comparison {
    const wanted = rulesFor(forwardFor)
    const places = this.#client
      .listBaseChains()
      .filter(
        ({ family, table, number }) => family !== 'netdev' && table !== tableName && number === hookNumbers.forward,
      )
    const changes: Change[] = []
    const leftovers: Change[] = []
    const keys: string[] = []
    for (const place of places) {
      const isDropping = place.type === 'filter' && place.policy === policyNumbers.drop
      const change = this.#change(place, isDropping ? wanted : [])
      if (isDropping && wanted.length > 0) keys.push(keyOf(place))
      if (change?.verb === 'delete') leftovers.push(change)
      else if (change) changes.push(change)
    }
    return { keys, changes, leftovers, failures: new Map() }
  }

  #change(place: ChainPlace, wanted: readonly NftRule[]): Change | undefined {
    const rules = this.#client.listRules(place)
    const ours = rules.filter(
      (rule) => rule.comment?.startsWith(commentPrefix) || this.#everMade.has(essence(rule.does)),
    )
    const isRight =
      ours.length === wanted.length &&
      wanted.every((rule, index) => essence(rules[index]?.does ?? '') === essenceOf(rule))
    if (isRight) return undefined
    const edit = { insert: wanted, remove: ours.map(({ handle }) => handle) }
    const chain = `${place.family} ${place.table} ${place.chain}`
    return {
      verb: wanted.length === 0 ? 'delete' : ours.length === 0 ? 'add' : 'change',
      key: keyOf(place),
      commands: [
        ...edit.remove.map((handle) => `nft delete rule ${chain} handle ${handle}`),
        ...wanted
          .toReversed()
          .map((rule) => `nft insert rule ${chain} ${renderRule(rule, 'inet')} comment '"${rule.comment}"'`),
      ],
      work: { call: () => this.#client.editChain(place, edit) },
    }
  }
}

function keyOf({ family, table, chain }: ChainPlace): string {
  return `${family} ${table} ${chain}`
}
