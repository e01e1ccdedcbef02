// Reads typed values out of parsed JSON. Every reader takes the value and its path ("ips[0].address") and throws
// CniProtocolError with that path when the value is something else. Absent and null are the same, as in Go's encoding/json,
// which all runtimes use.
import { Addr, Prefix } from '#/lib/addr.ts'
import { CniErrorCode, CniProtocolError } from './error.ts'

export type JsonObject = { readonly [key: string]: unknown }
export type Reader<T> = (value: unknown, path: string) => T

function refuse(value: unknown, path: string, expected: string): never {
  const shown = JSON.stringify(value) ?? 'nothing'
  const found = shown.length > 80 ? `${shown.slice(0, 80)}…` : shown
  throw new CniProtocolError(CniErrorCode.invalidConfig, `invalid ${path}`, `expected ${expected}, found ${found}`)
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function object(value: unknown, path: string): JsonObject {
  return isObject(value) ? value : refuse(value, path, 'an object')
}

/**
 * Returns a reader of an object's fields that ignores the case of names, like Go's encoding/json: containerd sends ports, bandwidth and DNS
 * with names such as "IngressRate" (github.com/containerd/go-cni, types.go). An exact name takes precedence.
 */
export function fieldsOf(value: unknown, path: string): (name: string) => unknown {
  const source = object(value, path)
  const loose = new Map(Object.entries(source).map(([name, each]) => [name.toLowerCase(), each]))
  return (name) => source[name] ?? loose.get(name.toLowerCase())
}

export function text(value: unknown, path: string): string {
  return typeof value === 'string' ? value : refuse(value, path, 'a string')
}

/** Reads an integer from 0 up. */
export function uint(value: unknown, path: string): number {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : refuse(value, path, 'a number from 0 up')
}

export function port(value: unknown, path: string): number {
  const number = uint(value, path)
  return number >= 1 && number <= 65535 ? number : refuse(value, path, 'a port from 1 to 65535')
}

export function addr(value: unknown, path: string): Addr {
  return Addr.tryParse(text(value, path)) ?? refuse(value, path, 'an IP address')
}

/** Reads six bytes in hexadecimal; returns them in lower case with colons. */
export function mac(value: unknown, path: string): string {
  const given = text(value, path).toLowerCase().replaceAll('-', ':')
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(given) ? given : refuse(value, path, 'a MAC address')
}

export type HostAddr = { readonly address: Addr; readonly prefixLength: number }

/** Reads "10.1.2.3/24": an address that keeps its host bits, and the length of its network. */
export function hostAddr(value: unknown, path: string): HostAddr {
  const { address, prefixLength } = maybeHostAddr(value, path)
  return prefixLength === undefined ? refuse(value, path, 'address/length') : { address, prefixLength }
}

/** A requested address; without a prefix length, that of its network applies. */
export type IpRequest = { readonly address: Addr; readonly prefixLength?: number }

/** Like hostAddr, but the length may be absent. */
export function maybeHostAddr(value: unknown, path: string): IpRequest {
  const [, host, length] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text(value, path)) ?? []
  const address = Addr.tryParse(host ?? '')
  if (address === undefined || Number(length ?? 0) > address.bits)
    return refuse(value, path, 'address or address/length')
  return length === undefined ? { address } : { address, prefixLength: Number(length) }
}

/** Reads a network and clears host bits, because other plugins write routes with them. */
export function network(value: unknown, path: string): Prefix {
  const { address, prefixLength } = hostAddr(value, path)
  return new Prefix(address, prefixLength)
}

/** Reads a list; absent counts as empty. */
export function list<T>(value: unknown, path: string, read: Reader<T>): readonly T[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return refuse(value, path, 'a list')
  return value.map((item: unknown, index) => read(item, `${path}[${index}]`))
}

/** `{ [key]: value }`, or `{}` when the value is absent or an empty string (Go writes "" for an unset field). */
export function optional<K extends string, T>(
  key: K,
  value: unknown,
  path: string,
  read: Reader<T>,
): { readonly [P in K]?: T } {
  const field: { [P in K]?: T } = {}
  if (value !== undefined && value !== null && value !== '') field[key] = read(value, path)
  return field
}
