// Packets for tests of network policy: sent all the time, and counted where they come in.
import { setTimeout as sleep } from 'node:timers/promises'
import { type TestNetns } from './namespace.ts'

/** Of pods web, from pods with role=client. */
export const onlyClients = {
  podSelector: { matchLabels: { app: 'web' } },
  ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }],
}

/** Has the pod count what comes to it, by its source, from its first packet on. */
export function countIn(pod: TestNetns): void {
  pod.sh(`nft add table inet count
    nft 'add set inet count seen { type ipv4_addr; flags dynamic; counter; }'
    nft 'add chain inet count in { type filter hook prerouting priority -300; }'
    nft 'add rule inet count in update @seen { ip saddr }'`)
}

/** How many packets of that source came. */
export function countOf(pod: TestNetns, source: string): number {
  const { nftables } = JSON.parse(pod.sh('nft -j list set inet count seen')) as {
    nftables: { set?: { elem?: { elem: { val: string; counter: { packets: number } } }[] } }[]
  }
  const elements = nftables.flatMap(({ set }) => set?.elem ?? [])
  return elements.find(({ elem }) => elem.val === source)?.elem.counter.packets ?? 0
}

/** Sends UDP packets to the address all the time; ends with the returned function, which tells how many there were. */
export function flood(from: TestNetns, addr: string): () => Promise<void> {
  const script = `i=0; while [ -e /tmp/${from.name} ]; do echo x > /dev/udp/${addr}/9; sleep 0.002; done`
  from.sh(`touch /tmp/${from.name}`)
  const ended = from.shAsync(`timeout 60 bash -c '${script}' 2>/dev/null || true`)
  return async () => {
    from.sh(`rm -f /tmp/${from.name}`)
    await ended
  }
}

/** Whether packets of that source still come. */
export async function comesFrom(pod: TestNetns, source: string): Promise<boolean> {
  const before = countOf(pod, source)
  await sleep(300)
  return countOf(pod, source) > before
}
