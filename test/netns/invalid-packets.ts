// The rule that makes a wrong change of the datapath show: kube-proxy drops packets that connection tracking does not know what to make of.
import { type TestNetns } from './namespace.ts'

/** From now on such packets are dropped and counted in the namespace. */
export function dropInvalid(host: TestNetns): void {
  host.sh(`nft -f - <<'RULES'
table inet invalid {
  chain forward {
    type filter hook forward priority 1
    ct state invalid counter drop
  }
}
RULES`)
}

/** How many there were. */
export function invalidPackets(host: TestNetns): number {
  return Number(/packets (\d+)/.exec(host.sh('nft list table inet invalid'))![1])
}
