// Of a kernel that cannot say which frames br_netfilter has handed to the rules for IP (CONFIG_IP_ROUTE_CLASSID): all of them are routed there.
import { type NftTable } from '#/wire/nftables/ruleset.ts'
import { bridgeTableName } from './bridge-table.ts'

/** A table that does nothing but ask, under a name of its own: a kernel that refuses it refuses the question in any table. */
export const bridgedTrial: NftTable = {
  ...bridgeTableName,
  name: `${bridgeTableName.name}-trial`,
  sets: [],
  chains: [
    {
      name: 'trial',
      rules: [{ comment: 'br_netfilter has it', match: [{ kind: 'hasRoute' }], action: { kind: 'accept' } }],
    },
  ],
}
