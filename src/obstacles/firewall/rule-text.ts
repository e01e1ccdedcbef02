// A rule of another program in words close to nft's, for people who look for it. What is not known here is named, not explained. Pure.
import { Addr } from '#/lib/addr.ts'
import { type DecodedExpression } from '#/wire/nftables/expressions.ts'
import { type ForeignRule, isRemark } from '#/wire/nftables/foreign-rule.ts'

const metaNames: Readonly<Record<number, string>> = {
  1: 'meta protocol',
  3: 'mark',
  4: 'iif',
  5: 'oif',
  6: 'iifname',
  7: 'oifname',
  15: 'meta nfproto',
  16: 'meta l4proto',
}
const ctNames: Readonly<Record<number, string>> = { 0: 'ct state', 2: 'ct status', 3: 'ct mark' }
const operators = ['', '!= ', '< ', '<= ', '> ', '>= '] as const
const textKeys = new Set(['iifname', 'oifname'])

type Loaded = { readonly name: string; readonly mask?: Uint8Array | undefined }

/** The rule as text, without its counter and comment. */
export function ruleText({ expressions }: ForeignRule): string {
  let loaded: Loaded = { name: '?' }
  const words: string[] = []
  for (const each of expressions) {
    if (isRemark(each)) continue
    if (each.name === 'bitwise') loaded = { ...loaded, mask: each.attrs.mask?.value }
    else loaded = loadedBy(each) ?? loaded
    words.push(...wordsOf(each, loaded))
  }
  return words.join(' ')
}

function loadedBy(each: DecodedExpression): Loaded | undefined {
  switch (each.name) {
    case 'meta':
      return { name: metaNames[each.attrs.key ?? 0] ?? `meta ${each.attrs.key}` }
    case 'ct':
      return { name: ctNames[each.attrs.key ?? 0] ?? `ct ${each.attrs.key}` }
    case 'fib':
      return { name: 'fib type' }
    case 'payload':
      return { name: payloadName(each.attrs.base, each.attrs.offset, each.attrs.len) }
    default:
      return undefined
  }
}

function payloadName(base = 0, offset = 0, length = 0): string {
  if (base === 1 && [12, 8].includes(offset)) return offset === 12 ? 'ip saddr' : 'ip6 saddr'
  if (base === 1 && [16, 24].includes(offset)) return offset === 16 ? 'ip daddr' : 'ip6 daddr'
  if (base === 2 && length === 2 && offset <= 2) return offset === 0 ? 'sport' : 'dport'
  return `@${['ll', 'nh', 'th'][base] ?? base},${offset * 8},${length * 8}`
}

function wordsOf(each: DecodedExpression, { name, mask }: Loaded): string[] {
  switch (each.name) {
    case 'cmp': {
      const operator = operators[each.attrs.op ?? 0] ?? ''
      return [`${name} ${operator}${valueText(name, each.attrs.data?.value ?? new Uint8Array(), mask)}`]
    }
    case 'range':
      return [
        `${name} ${[each.attrs.from, each.attrs.to].map((end) => valueText(name, end?.value ?? new Uint8Array())).join('-')}`,
      ]
    case 'lookup':
      return [`${name} ${each.attrs.dreg === 0 ? 'vmap ' : ''}@${each.attrs.set}`]
    case 'match':
      return [`-m ${each.attrs.name}`]
    case 'target':
      return [`-j ${each.attrs.name}`]
    case 'reject':
    case 'limit':
    case 'log':
    case 'notrack':
      return [each.name]
    case 'immediate': {
      const { verdict } = each.attrs.data ?? {}
      if (verdict === undefined) return []
      const words = { 0: 'drop', 1: 'accept', [-3]: 'jump', [-4]: 'goto', [-5]: 'return' } as Readonly<
        Record<number, string>
      >
      return [[words[(verdict.code ?? 0) | 0] ?? 'verdict', verdict.chain].filter(Boolean).join(' ')]
    }
    case 'other':
      return [each.kernelName]
    default:
      return []
  }
}

function valueText(name: string, bytes: Uint8Array, mask?: Uint8Array): string {
  if (textKeys.has(name)) {
    const text = new TextDecoder().decode(bytes)
    return text.includes('\0') ? `"${text.replaceAll('\0', '')}"` : `"${text}*"`
  }
  if (name === 'dport' || name === 'sport') return String(((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0))
  if (name === 'meta nfproto') return bytes[0] === 2 ? 'ipv4' : bytes[0] === 10 ? 'ipv6' : String(bytes[0])
  if (name === 'meta l4proto')
    return { 6: 'tcp', 17: 'udp', 1: 'icmp', 58: 'ipv6-icmp' }[bytes[0] ?? 0] ?? String(bytes[0])
  if (name.endsWith('addr')) {
    const whole = new Uint8Array(name.startsWith('ip6') ? 16 : 4)
    whole.set(bytes.subarray(0, whole.length))
    const length = mask ? Array.from(mask, ones).reduce((a, b) => a + b, 0) : bytes.length * 8
    return `${Addr.fromBytes(whole)}/${length}`
  }
  return `0x${Buffer.from(bytes).toString('hex')}${mask ? `/0x${Buffer.from(mask).toString('hex')}` : ''}`
}

const ones = (byte: number): number => byte.toString(2).replaceAll('0', '').length
