// The expressions of CustomResourceDefinitions (CEL): the language, with the addresses and CIDRs that kube-apiserver adds to it
// (staging/src/k8s.io/apiserver/pkg/cel/library/ip.go and cidr.go). Values have no declared types here, so a mistake in types that
// kube-apiserver refuses with the definition shows only when the expression is evaluated.
import { Environment } from '@marcbachmann/cel-js'
import { Addr, Prefix } from '#/lib/addr.ts'
import { isArray, isObject, type Json } from '../json.ts'
import type { SchemaNode } from './schema.ts'

/** A CIDR as it was written: other than a Prefix it may have bits set beyond its length. */
class Cidr {
  readonly addr: Addr
  readonly masked: Prefix

  constructor(addr: Addr, length: number) {
    this.addr = addr
    this.masked = new Prefix(addr, length)
  }

  toString(): string {
    return `${this.addr}/${this.masked.length}`
  }
}

/** Go's netip without IPv4 addresses in the form of IPv6. */
function addrIn(text: string): Addr | undefined {
  const addr = Addr.tryParse(text)
  return addr?.family === 6 && addr.value >> 32n === 0xffffn ? undefined : addr
}

function cidrIn(text: string): Cidr | undefined {
  const [, head, length] = /^(.*)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? []
  const addr = head === undefined ? undefined : addrIn(head)
  return addr === undefined || Number(length) > addr.bits ? undefined : new Cidr(addr, Number(length))
}

function need<T>(value: T | undefined, text: string, what: string): T {
  if (value === undefined) throw new Error(`"${text}" is no ${what}`)
  return value
}

const addrOf = (text: string): Addr => need(addrIn(text), text, 'IP address')
const cidrOf = (text: string): Cidr => need(cidrIn(text), text, 'CIDR')

const environment = new Environment()
  .registerVariable('self', 'dyn')
  .registerType('net.IP', Addr)
  .registerType('net.CIDR', Cidr)
  .registerFunction('isIP(string): bool', (text: string) => addrIn(text) !== undefined)
  .registerFunction('ip(string): net.IP', addrOf)
  .registerFunction('net.IP.family(): int', (addr: Addr) => BigInt(addr.family))
  .registerFunction('net.IP.isUnspecified(): bool', (addr: Addr) => addr.isUnspecified)
  .registerFunction('net.IP.isLoopback(): bool', (addr: Addr) => addr.isLoopback)
  .registerFunction('net.IP.isLinkLocalUnicast(): bool', (addr: Addr) => addr.isLinkLocal)
  .registerOperator('net.IP == net.IP', (one: Addr, other: Addr) => one.equals(other))
  .registerFunction('isCIDR(string): bool', (text: string) => cidrIn(text) !== undefined)
  .registerFunction('cidr(string): net.CIDR', cidrOf)
  .registerFunction('net.CIDR.ip(): net.IP', ({ addr }: Cidr) => addr)
  .registerFunction('net.CIDR.prefixLength(): int', ({ masked }: Cidr) => BigInt(masked.length))
  .registerFunction('net.CIDR.masked(): net.CIDR', ({ masked }: Cidr) => new Cidr(masked.addr, masked.length))
  .registerFunction('net.CIDR.containsIP(net.IP): bool', ({ masked }: Cidr, addr: Addr) => masked.contains(addr))
  .registerOperator('net.CIDR == net.CIDR', (one: Cidr, other: Cidr) => String(one) === String(other))

const parsed = new Map<string, (context: { self: unknown }) => unknown>()

/** Evaluates an expression about `self`, a value of `celValue`; throws with the reason when it is none, or has no value. */
export function evaluate(expression: string, self: unknown): unknown {
  let run = parsed.get(expression)
  if (run === undefined) {
    run = environment.parse(expression)
    parsed.set(expression, run)
  }
  return run({ self })
}

/** What is wrong with an expression that is to be true or false; undefined when nothing is. */
export function expressionFault(expression: string): string | undefined {
  const { valid, error } = environment.check(expression)
  return valid ? undefined : (error?.message.split('\n')[0] ?? 'is no expression')
}

/** A JSON value as expressions have it: whole numbers are integers, unless the schema says "number". */
export function celValue(value: Json | undefined, node: SchemaNode | undefined): unknown {
  if (typeof value === 'number')
    return Number.isInteger(value) && node?.schema.type !== 'number' ? BigInt(value) : value
  if (isArray(value)) return value.map((item) => celValue(item, node?.items))
  if (!isObject(value)) return value
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(members.map(([key, member]) => [key, celValue(member, node?.member(key))]))
}
