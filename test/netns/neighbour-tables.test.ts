// The kernel's tables of neighbours: what is told of them in a namespace, against the kernel's own files and entries that are made.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { listNeighbourTables } from '#/kernel/neighbour-tables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { type NeighbourTable } from '#/wire/netlink/neigh-table.ts'
import { TestNetns } from './namespace.ts'

const names = { 4: 'arp_cache', 6: 'ndisc_cache' } as const
const count = 200
const slack = 20
const attempts = 4

test('the tables are those of the kernel, and entries of any namespace count', () => {
  using ns = new TestNetns()
  using netlink = new Netlink(NETLINK_ROUTE, ns.netns)
  const tableOf = (family: 4 | 6): NeighbourTable => {
    const [table, ...more] = listNeighbourTables(netlink).filter((each) => each.family === family)
    assert.ok(table !== undefined && more.length === 0)
    return table
  }
  ns.sh(
    'ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; ip addr add 10.9.0.1/16 dev d0; ip addr add fd09::1/64 dev d0 nodad',
  )
  for (const [family, base] of [
    [4, '10.9.1.'],
    [6, 'fd09::1:'],
  ] as const) {
    const before = tableOf(family)
    assert.equal(before.name, names[family])
    const limit = readFileSync(`/proc/sys/net/ipv${family}/neigh/default/gc_thresh3`, 'utf8')
    assert.equal(before.most, Number(limit))
    // permanent ones are beside the limit, so a full table takes them too
    const numbers = Array.from({ length: count }, (_, n) => n + 1)
    const lines = numbers.map((n) => `neigh add ${base}${n} lladdr 02:00:00:00:00:01 dev d0 nud permanent`)
    const change = (): number => {
      ns.sh(`ip -${family} neigh flush dev d0 nud permanent`)
      const { entries } = tableOf(family)
      ns.sh(`ip -batch - <<'END'\n${lines.join('\n')}\nEND`)
      return tableOf(family).entries - entries
    }
    // others on this kernel make and lose entries meanwhile, whole namespaces of them at once
    const changes = Array.from({ length: attempts }, change)
    assert.ok(
      changes.some((added) => Math.abs(added - count) <= slack),
      `${changes.join(', ')} of ${count} entries of IPv${family}`,
    )
    const after = tableOf(family)
    const refused = refusalsInFile(names[family])
    assert.ok(after.refusals !== undefined && after.refusals <= refused, `${after.refusals} of ${refused}`)
    assert.ok(after.refusals >= (before.refusals ?? 0n))
  }
})

/** The last column of what the kernel tells of a table, of all processors. */
function refusalsInFile(name: string): bigint {
  const [head, ...lines] = readFileSync(`/proc/net/stat/${name}`, 'utf8').trim().split('\n')
  const column = head!.trim().split(/\s+/).indexOf('table_fulls')
  return lines.reduce((sum, line) => sum + BigInt(`0x${line.trim().split(/\s+/)[column]}`), 0n)
}
