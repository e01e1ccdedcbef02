// Reads tables of legacy iptables, which the kernel gives only by socket options (struct ipt_getinfo, struct ipt_get_entries). Needs
// CAP_NET_ADMIN.
import { readFileSync } from 'node:fs'
import { errorCode } from '#/lib/error-code.ts'
import { type Family } from '#/lib/addr.ts'
import { closeFd, int32, libc } from './libc.ts'
import { openSocket } from './socket.ts'

const SOCK_DGRAM = 2
const levels = { 4: 0, 6: 41 } as const
/** The same numbers in IPv6: IP6T_SO_GET_INFO and IP6T_SO_GET_ENTRIES. */
const IPT_SO_GET_INFO = 64
const IPT_SO_GET_ENTRIES = 65
const namesFiles = { 4: '/proc/thread-self/net/ip_tables_names', 6: '/proc/thread-self/net/ip6_tables_names' } as const

/**
 * The legacy tables that exist in the calling thread's namespace; none when the kernel has loaded no legacy iptables. To ask for the
 * contents of a table that is not among these would make it.
 */
export function legacyTableNames(family: Family): string[] {
  try {
    return readFileSync(namesFiles[family], 'utf8').split('\n').filter(Boolean)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Reads a structure of a table: `bytes` holds the request, and the answer afterwards. Throws SysError. */
function ask(fd: number, family: Family, option: number, bytes: Uint8Array, about: string): void {
  libc('getsockopt', [fd, levels[family], option, bytes, int32(bytes.length)], about)
}

/**
 * Gives `use` a way to read structures of the table. `info` and `entries` fill the bytes that they are given, which begin with the table's
 * name. Throws SysError.
 */
export function withLegacyTable<T>(
  family: Family,
  name: string,
  use: (read: { info(bytes: Uint8Array): void; entries(bytes: Uint8Array): void }) => T,
): T {
  const about = `table ${name} of legacy ${family === 4 ? 'iptables' : 'ip6tables'}`
  const fd = openSocket(family, SOCK_DGRAM, 0, () => {})
  try {
    return use({
      info: (bytes) => ask(fd, family, IPT_SO_GET_INFO, bytes, about),
      entries: (bytes) => ask(fd, family, IPT_SO_GET_ENTRIES, bytes, about),
    })
  } finally {
    closeFd(fd)
  }
}
