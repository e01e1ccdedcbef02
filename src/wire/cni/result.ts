// The CNI success result (SPEC section 5): one form as a value, and the JSON of each version.
//
//   0.3.1, 0.4.0   ips[].version ("4" or "6"); interfaces {name, mac, sandbox}; routes {dst, gw}
//   1.0.0          the same without ips[].version
//   1.1.0          interfaces + {mtu, socketPath, pciID}; routes + {mtu, advmss, priority, table, scope}
import { type Addr, Prefix } from '#/lib/addr.ts'
import { CniErrorCode, CniProtocolError } from './error.ts'
import { type HostAddr, addr, hostAddr, type JsonObject, list, network, object, optional, text, uint } from './field.ts'
import { type CniVersion, isAtLeast } from './version.ts'

export type CniInterface = {
  readonly name: string
  /** A MAC as the other side wrote it: results of other plugins may have addresses that are not Ethernet's. */
  readonly mac?: string
  readonly mtu?: number
  /** Path of the network namespace; absent for an interface of the host. */
  readonly sandbox?: string
  readonly socketPath?: string
  readonly pciID?: string
}

export type CniIp = HostAddr & {
  readonly gateway?: Addr
  /** Index into `interfaces`. */
  readonly interface?: number
}

export type CniRoute = {
  readonly dst: Prefix
  readonly gw?: Addr
  readonly mtu?: number
  readonly advmss?: number
  readonly priority?: number
  readonly table?: number
  readonly scope?: number
}

export type CniDns = {
  readonly nameservers: readonly string[]
  readonly domain?: string
  readonly search: readonly string[]
  readonly options: readonly string[]
}

export type CniResult = {
  readonly interfaces: readonly CniInterface[]
  readonly ips: readonly CniIp[]
  readonly routes: readonly CniRoute[]
  readonly dns?: CniDns
}

/** The JSON text of `result`; fields that `version` does not have are left out. */
export function encodeResult(result: CniResult, version: CniVersion): string {
  const { interfaces, ips, routes, dns } = result
  return `${JSON.stringify({
    cniVersion: version,
    interfaces: interfaces.map((link) => encodeInterface(link, version)),
    ips: ips.map((ip) => encodeIp(ip, version)),
    routes: routes.map((route) => encodeRoute(route, version)),
    ...(dns === undefined ? {} : { dns }),
  })}\n`
}

function encodeInterface(link: CniInterface, version: CniVersion): JsonObject {
  if (isAtLeast(version, '1.1.0')) return link
  const { name, mac, sandbox } = link
  return { name, mac, sandbox }
}

function encodeIp(ip: CniIp, version: CniVersion): JsonObject {
  const { address, prefixLength, gateway, interface: index } = ip
  return {
    ...(isAtLeast(version, '1.0.0') ? {} : { version: String(address.family) }),
    address: `${address}/${prefixLength}`,
    gateway,
    interface: index,
  }
}

function encodeRoute(route: CniRoute, version: CniVersion): JsonObject {
  if (isAtLeast(version, '1.1.0')) return route
  const { dst, gw } = route
  return { dst, gw }
}

/** Reads a result out of parsed JSON, such as a `prevResult`. `version` applies when the result names none. Throws CniProtocolError. */
export function decodeResult(json: unknown, version: CniVersion, path = 'result'): CniResult {
  const source = object(json, path)
  const is11 = (source['cniVersion'] ?? version) === '1.1.0'
  const interfaces = list(source['interfaces'], `${path}.interfaces`, (value, at) => decodeInterface(value, at, is11))
  const ips = list(source['ips'], `${path}.ips`, decodeIp)
  for (const { interface: index, address } of ips) {
    if (index !== undefined && index >= interfaces.length) {
      const why = `${address} is on interface ${index} of ${interfaces.length}`
      throw new CniProtocolError(CniErrorCode.invalidConfig, `invalid ${path}.ips`, why)
    }
  }
  return {
    interfaces,
    ips,
    routes: list(source['routes'], `${path}.routes`, (value, at) => decodeRoute(value, at, is11)),
    ...decodeDns(source['dns'], `${path}.dns`),
  }
}

function decodeInterface(value: unknown, path: string, is11: boolean): CniInterface {
  const source = object(value, path)
  return {
    name: text(source['name'], `${path}.name`),
    ...optional('mac', source['mac'], `${path}.mac`, text),
    ...optional('sandbox', source['sandbox'], `${path}.sandbox`, text),
    ...(is11
      ? {
          ...optional('mtu', source['mtu'], `${path}.mtu`, uint),
          ...optional('socketPath', source['socketPath'], `${path}.socketPath`, text),
          ...optional('pciID', source['pciID'], `${path}.pciID`, text),
        }
      : {}),
  }
}

/** `ips[].version` of the old versions is not read: the address shows its family, and libcni never checked that they agree. */
function decodeIp(value: unknown, path: string): CniIp {
  const source = object(value, path)
  return {
    ...hostAddr(source['address'], `${path}.address`),
    ...optional('gateway', source['gateway'], `${path}.gateway`, addr),
    ...optional('interface', source['interface'], `${path}.interface`, uint),
  }
}

function decodeRoute(value: unknown, path: string, is11: boolean): CniRoute {
  const source = object(value, path)
  const number = <K extends string>(key: K): { readonly [P in K]?: number } =>
    optional(key, source[key], `${path}.${key}`, uint)
  return {
    dst: network(source['dst'], `${path}.dst`),
    ...optional('gw', source['gw'], `${path}.gw`, addr),
    ...(is11
      ? { ...number('mtu'), ...number('advmss'), ...number('priority'), ...number('table'), ...number('scope') }
      : {}),
  }
}

/** Reads DNS settings; Go writes `"dns": {}` when there are none. */
function decodeDns(value: unknown, path: string): { readonly dns?: CniDns } {
  const source = object(value ?? {}, path)
  const dns: CniDns = {
    nameservers: list(source['nameservers'], `${path}.nameservers`, text),
    ...optional('domain', source['domain'], `${path}.domain`, text),
    search: list(source['search'], `${path}.search`, text),
    options: list(source['options'], `${path}.options`, text),
  }
  const isEmpty =
    dns.domain === undefined && [dns.nameservers, dns.search, dns.options].every((part) => part.length === 0)
  return isEmpty ? {} : { dns }
}
