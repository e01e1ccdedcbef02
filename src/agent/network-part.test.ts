import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { Latest, Signal } from '#/lib/signal.ts'
import { DirtySet } from './network/dirty-set.ts'
import { NetworkPart, type NetworkPartDeps } from './network-part.ts'

test("the error of a pass that throws is kept until a pass succeeds, and each pass's end is signalled", async () => {
  let failure: Error | undefined = new Error('RTM_GETADDR: ENOMEM')
  const view = {
    self: undefined,
    isComplete: true,
    problems: [],
    save: () => {
      if (failure) throw failure
    },
  }
  const deps = {
    cluster: { view, routing: 'vxlan' },
    pods: { ports: [], portCalls: {}, decideDatapath: async () => {} },
    bgp: { learned: {}, takeNetwork: () => {} },
    dirt: new DirtySet(),
    wake: new Signal(),
    podNetwork: new Latest({ kind: 'absent', why: 'nothing yet' }),
    notInstalled: new Latest(new Map()),
    log: silent,
  } as unknown as NetworkPartDeps
  const settings = { vni: 1, port: 8472, clusterCIDRs: [], masquerade: false } as never
  await using network = new NetworkPart({ nodeName: 'node-1', settings, probeIntervalMs: 0 }, deps)
  const told: (string | undefined)[] = []
  network.passEnded.subscribe(() => told.push(network.passError))
  assert.equal(network.passError, undefined)
  await network.passNow()
  failure = undefined
  await network.passNow()
  assert.deepEqual(told, ['RTM_GETADDR: ENOMEM', undefined])
})
