// BGP values as JSON: between the agent and its speaker's thread, and in a standalone speaker's configuration file. Addresses and
// prefixes write themselves as text (toJSON); here they become values again, by the names of their fields.
import { Addr, Prefix } from '#/lib/addr.ts'

const addrFields = new Set(['addr', 'localAddr', 'routerId', 'clusterId'])

function revive(key: string, value: unknown): unknown {
  if (typeof value === 'string') {
    if (addrFields.has(key)) return Addr.parse(value)
    return key === 'prefix' ? Prefix.parse(value) : value
  }
  if (key === 'localAddrs' && Array.isArray(value)) return value.map((each) => Addr.parse(String(each)))
  if (key === 'subnets' && Array.isArray(value)) return value.map((each) => Prefix.parse(String(each)))
  return value
}

/** Throws AddrError for what should be an address or a prefix and is not, SyntaxError for what is no JSON. */
export function bgpFromJson(text: string): unknown {
  return JSON.parse(text, revive) as unknown
}
