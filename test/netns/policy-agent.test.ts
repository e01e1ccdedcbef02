// Network policy in the parts of an agent, with real pods and packets: what changes while packets flow lets none through that is denied, and cuts
// nothing that is allowed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { type TestNetns } from './namespace.ts'
import { codeOf, messageIn } from './pod-node.ts'
import { PolicyNode } from './policy-node.ts'

/** Of pods web, from pods with role=client. */
const onlyClients = {
  podSelector: { matchLabels: { app: 'web' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }],
}

/** Has the pod count what comes to it, by its source, from its first packet on. */
function countIn(pod: TestNetns): void {
  pod.sh(`nft add table inet count
    nft 'add set inet count seen { type ipv4_addr; flags dynamic; counter; }'
    nft 'add chain inet count in { type filter hook prerouting priority -300; }'
    nft 'add rule inet count in meta l4proto udp update @seen { ip saddr }'`)
}

/** How many UDP packets of that source came. */
function countOf(pod: TestNetns, source: string): number {
  const { nftables } = JSON.parse(pod.sh('nft -j list set inet count seen')) as {
    nftables: { set?: { elem?: { elem: { val: string; counter: { packets: number } } }[] } }[]
  }
  const elements = nftables.flatMap(({ set }) => set?.elem ?? [])
  return elements.find(({ elem }) => elem.val === source)?.elem.counter.packets ?? 0
}

/** Sends UDP packets to the address all the time; ends with the returned function, which tells how many there were. */
function flood(from: TestNetns, addr: string): () => Promise<void> {
  const end = new AbortController()
  const script = `i=0; while [ -e /tmp/${from.name} ]; do echo x > /dev/udp/${addr}/9; sleep 0.002; done`
  from.sh(`touch /tmp/${from.name}`)
  const ended = from.shAsync(`timeout 60 bash -c '${script}' 2>/dev/null || true`)
  return async () => {
    from.sh(`rm -f /tmp/${from.name}`)
    end.abort()
    await ended
  }
}

for (const datapath of ['bridge', 'ebpf'] as const) {
  test(`${datapath}: no packet reaches a pod before its policies hold, and its labels count from the first`, async () => {
    await using node = await PolicyNode.start(datapath)
    await node.setPolicy('web', onlyClients)
    const client = await node.addPod('client', { role: 'client' })
    const stranger = await node.addPod('stranger', {})
    // the next pod gets the next address
    const next = node.addrOf('stranger').replace(/\d+$/, (last) => String(Number(last) + 1))
    const ends = [flood(client, next), flood(stranger, next)]
    const web = node.newPod('web')
    countIn(web)
    const held = node.tryAdd('web')
    await sleep(200)
    assert.equal(node.agent.store.find({ containerId: 'web', ifName: 'eth0' }), undefined, 'it is held back')
    node.setLabels('web', { app: 'web' })
    const reply = await held
    assert.equal(codeOf(reply), 0, messageIn(reply))
    assert.equal(node.addrOf('web'), next)
    // the node asks for its MAC once a second
    await eventually(() => countOf(web, node.addrOf('client')) > 50, 'packets that are allowed', 5000)
    for (const end of ends) await end()
    assert.equal(countOf(web, node.addrOf('stranger')), 0, 'packets that are denied')
  })
}
