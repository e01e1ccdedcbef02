// BGP values from JSON, as exchanged between the agent and its speaker's thread and as in a standalone speaker's configuration file. toJSON
// writes addresses and prefixes as text; here the fields with known names become addresses and prefixes again.
import { Addr, Prefix } from '#/lib/addr.ts'

const addrFields = new Set(['addr', 'localAddr', 'routerId', 'clusterId'])

function revive(key: string, value: unknown): unknown {
  if (typeof value === 'string') {
    if (addrFields.has(key)) return Addr.parse(value)
    return key === 'prefix' ? Prefix.parse(value) : value
  }
  if (key === 'localAddrs' && Array.isArray(value)) return value.map((each) => Addr.parse(String(each)))
  if ((key === 'links' || key === 'routed') && Array.isArray(value))
    return value.map((each) => Prefix.parse(String(each)))
  return value
}

/** Parses `text`. Throws AddrError for a malformed address or prefix and SyntaxError for malformed JSON. */
export function bgpFromJson(text: string): unknown {
  return JSON.parse(text, revive) as unknown
}
