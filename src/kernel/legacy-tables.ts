// The tables of legacy iptables in the calling thread's namespace. nf_tables does not show them, and no notification tells of changes.
import { type Family, families } from '#/lib/addr.ts'
import { viewOf, WireError } from '#/lib/bytes.ts'
import { SysError } from '#/sys/libc.ts'
import { legacyTableNames, withLegacyTable } from '#/sys/xtables-socket.ts'
import {
  decodeLegacyInfo,
  decodeLegacyTable,
  entriesHeaderBytes,
  infoBytes,
  type LegacyChain,
  type LegacyTable,
  nameBytes,
} from '#/wire/xtables/legacy-table.ts'

/** Tables bigger than this are those of a proxy of many services; reading them takes the kernel a lock on all packets. */
const maxBytes = 4 << 20
/** The table nat is read for one packet, in one turn of the event loop: this takes some 15 ms. */
const maxNatBytes = 1 << 20

/** The chains of a table; undefined when it is too big to be read. Throws SysError (EAGAIN when the table changed meanwhile), WireError. */
function readTable(family: Family, name: string): LegacyChain[] | undefined {
  return withLegacyTable(family, name, (read) => {
    const request = (length: number): Uint8Array => {
      const bytes = new Uint8Array(length)
      bytes.set(new TextEncoder().encode(name).subarray(0, nameBytes - 1))
      return bytes
    }
    const infoAnswer = request(infoBytes)
    read.info(infoAnswer)
    const info = decodeLegacyInfo(infoAnswer)
    if (info.sizeBytes > (name === 'nat' ? maxNatBytes : maxBytes)) return undefined
    const answer = request(entriesHeaderBytes + info.sizeBytes)
    viewOf(answer).setUint32(nameBytes, info.sizeBytes, true)
    read.entries(answer)
    return decodeLegacyTable(answer.subarray(entriesHeaderBytes), family, info)
  })
}

/**
 * The tables that decide about packets, without those that cannot be read now: nobody depends on seeing them. The table nat is read only where
 * it is asked for: a proxy of services may have tens of thousands of rules there.
 */
export function readLegacyTables(withNat = false): LegacyTable[] {
  return families.flatMap((family) =>
    legacyTableNames(family)
      .filter((name) => withNat || name !== 'nat')
      .flatMap((name) => {
        try {
          const chains = readTable(family, name)
          return chains === undefined ? [] : [{ family, name, chains }]
        } catch (error) {
          if (error instanceof SysError || error instanceof WireError) return []
          throw error
        }
      }),
  )
}
