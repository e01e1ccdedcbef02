import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiClient } from '#/cluster/client.ts'
import { datapathStateAnnotation } from '#/model/datapath.ts'
import { requireNoPrograms } from './datapath.ts'
import { dualStack as settings } from './testing/settings.ts'

/** An API with nodes whose agents have told these datapaths. */
function apiWith(states: readonly (string | undefined)[]): ApiClient {
  const items = states.map((name, index) => ({
    metadata: {
      name: `node-${index + 1}`,
      annotations: name === undefined ? {} : { [datapathStateAnnotation]: JSON.stringify({ name }) },
    },
  }))
  return { list: async () => ({ items }) } as unknown as ApiClient
}

test('agents keep their bpffs while programs are at work on any node', async () => {
  const ebpf = { ...settings, given: { ...settings.given, CAUSEWAY_DATAPATH: 'ebpf' } }
  await requireNoPrograms(apiWith(['ebpf']), ebpf)
  await requireNoPrograms(apiWith([undefined, 'bridge']), settings)
  await assert.rejects(
    requireNoPrograms(apiWith([undefined, 'ebpf', 'bridge', 'ebpf']), settings),
    /^Error: pods of node-2, node-4 have the eBPF datapath: use --datapath ebpf as before, or give them the bridge first/,
  )
})
