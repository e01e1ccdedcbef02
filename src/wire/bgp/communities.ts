// Communities as text: "65000:1" (RFC 1997), "65000:1:2" (RFC 8092), and names of the IANA registry "BGP Well-known Communities".

/** The four octets of a standard community, or the three numbers of a large one. */
export type Community = number | readonly [globalAdministrator: number, first: number, second: number]

export const WellKnownCommunity = {
  'graceful-shutdown': 0xffff0000,
  'accept-own': 0xffff0001,
  'llgr-stale': 0xffff0006,
  'no-llgr': 0xffff0007,
  blackhole: 0xffff029a,
  'no-export': 0xffffff01,
  'no-advertise': 0xffffff02,
  'no-export-subconfed': 0xffffff03,
  'no-peer': 0xffffff04,
} as const

const values = new Map<string, number>(Object.entries(WellKnownCommunity))
const names = new Map([...values].map(([name, value]) => [value, name]))

export function communityText(community: Community): string {
  if (typeof community !== 'number') return community.join(':')
  return names.get(community) ?? `${community >>> 16}:${community & 0xffff}`
}

/** Reads a community; undefined when the text is none. */
export function parseCommunity(text: string): Community | undefined {
  const known = values.get(text.toLowerCase())
  if (known !== undefined) return known
  const parts = text.split(':')
  if (!parts.every((part) => /^(0|[1-9]\d{0,9})$/.test(part))) return undefined
  const numbers = parts.map(Number)
  const [first, second, third] = numbers
  if (numbers.length === 2 && numbers.every((part) => part <= 0xffff)) return first! * 0x10000 + second!
  if (numbers.length === 3 && numbers.every((part) => part <= 0xffffffff)) return [first!, second!, third!]
  return undefined
}
