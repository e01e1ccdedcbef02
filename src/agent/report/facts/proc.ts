// What /proc tells of the calling thread's network namespace: sysctls, sockets that listen, packets with wrong checksums.
import { readFileSync } from 'node:fs'
import { type NamespaceFacts } from '#/api/schemas/facts.ts'
import { Addr } from '#/lib/addr.ts'
import { readSysctl } from '#/sys/sysctl.ts'

/** undefined: there is no such file, or it is not for this process to see. */
function tried<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}

// a thread may be in another network namespace than its process
const textOf = (file: string): string => tried(() => readFileSync(`/proc/thread-self/net/${file}`, 'utf8')) ?? ''

const ofNamespace = [
  'net/ipv4/ip_forward',
  'net/ipv4/ip_nonlocal_bind',
  'net/ipv6/ip_nonlocal_bind',
  'net/ipv4/ip_no_pmtu_disc',
  'net/ipv4/icmp_echo_ignore_all',
  'net/ipv4/fib_multipath_hash_policy',
  'net/ipv6/fib_multipath_hash_policy',
  'net/bridge/bridge-nf-call-iptables',
  'net/bridge/bridge-nf-call-ip6tables',
  'net/bridge/bridge-nf-call-arptables',
  'net/netfilter/nf_conntrack_count',
  'net/netfilter/nf_conntrack_max',
  'net/ipv4/neigh/default/gc_thresh3',
  'net/ipv6/neigh/default/gc_thresh3',
] as const

const ofDevices = {
  'net/ipv4/conf': [
    'forwarding',
    'rp_filter',
    'accept_local',
    'send_redirects',
    'route_localnet',
    'arp_ignore',
    'arp_filter',
    'proxy_arp',
    'ignore_routes_with_linkdown',
  ],
  'net/ipv6/conf': [
    'forwarding',
    'force_forwarding',
    'disable_ipv6',
    'accept_ra',
    'proxy_ndp',
    'ignore_routes_with_linkdown',
  ],
} as const

/** Those that hold for the namespace as a whole, and for devices that are yet to come. */
export function sysctlsOfNamespace(): Record<string, string> {
  return { ...read(ofNamespace), ...sysctlsOf(['all', 'default']) }
}

export function sysctlsOf(devices: readonly string[]): Record<string, string> {
  return read(
    devices.flatMap((device) =>
      Object.entries(ofDevices).flatMap(([folder, names]) => names.map((name) => `${folder}/${device}/${name}`)),
    ),
  )
}

function read(paths: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {}
  for (const path of paths) {
    const value = tried(() => readSysctl(path))
    if (value !== undefined) values[path] = value
  }
  return values
}

/** By protocol, the state of a socket that waits for packets: TCP_LISTEN, and TCP_CLOSE of a UDP socket that is not connected. */
const waiting = { tcp: '0A', udp: '07' } as const

type Listener = NamespaceFacts['listeners'][number]

/** Sorted; each once, however many processes share a port. */
export function listeners(): Listener[] {
  const found = new Map<string, Listener>()
  for (const protocol of ['tcp', 'udp'] as const)
    for (const file of [protocol, `${protocol}6`])
      for (const line of textOf(file).split('\n').slice(1)) {
        const [, local = '', , state] = line.trim().split(/\s+/, 4)
        if (state !== waiting[protocol]) continue
        const [hex = '', hexPort = ''] = local.split(':')
        const listener = { protocol, port: Number.parseInt(hexPort, 16), addr: String(addrOf(hex)) }
        found.set(`${protocol} ${String(listener.port).padStart(5, '0')} ${listener.addr}`, listener)
      }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, listener]) => listener)
}

/** The kernel writes an address as words in the machine's byte order. */
function addrOf(hex: string): Addr {
  const words = hex.match(/.{8}/g) ?? []
  return Addr.fromBytes(Uint8Array.from(words.flatMap((word) => Array.from(Uint8Array.fromHex(word).toReversed()))))
}

/** Packets that were dropped for a wrong checksum, since the namespace was made; TCP counts for both families. */
export function checksumErrors(): NamespaceFacts['checksumErrors'] {
  const lines = textOf('snmp').split('\n')
  const of4 = (protocol: string): number => {
    const [names = '', values = ''] = lines.filter((line) => line.startsWith(`${protocol}:`))
    return Number(values.split(' ')[names.split(' ').indexOf('InCsumErrors')] ?? 0)
  }
  const udp6 = /^Udp6InCsumErrors\s+(\d+)$/m.exec(textOf('snmp6'))?.[1] ?? '0'
  return { tcp: of4('Tcp'), udp: of4('Udp') + Number(udp6) }
}
