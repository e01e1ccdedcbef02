// A pod that may write any frame does not reach one that policies keep from it, with pods of either datapath.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datapathNames } from '#/model/datapath.ts'
import { FramePort } from '../netns/policy/frame-port.ts'
import { sweep } from '../netns/policy/sweep.ts'
import { networkPolicy } from './model.ts'
import { type Place } from './prober.ts'
import { TruthNode } from './truth-node.ts'

for (const datapath of datapathNames)
  test(`no frame of a pod gets past policies, pods with the datapath ${datapath}`, async () => {
    await using truth = await TruthNode.create(datapath)
    using ports = new DisposableStack()
    const podAt = (name: string) => {
      const { netns, addrs } = truth.places.find((place: Place) => place.name === name)!
      const number = Number(
        String(addrs.find(({ family }) => family === 4))
          .split('.')
          .at(-1),
      )
      return { number, port: ports.use(new FramePort(netns)) }
    }
    const [victim, attacker] = [podAt('x/a'), podAt('x/b')]
    const [{ address }] = truth.node.host.ip<{ address: string }>('link show cw-br0') as [{ address: string }]
    const before = await sweep(attacker, victim, address)
    assert.ok(before.arrived.size > 0, 'without a policy some frames arrive')
    for (const direction of ['Ingress', 'Egress']) {
      truth.change([{ put: networkPolicy('x/deny', { podSelector: {}, policyTypes: [direction] }) }])
      const { sent, arrived } = await sweep(attacker, victim, address)
      assert.deepEqual([...arrived].slice(0, 20), [], `${direction}: ${arrived.size} of ${sent}`)
    }
  })
