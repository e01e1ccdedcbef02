// Beside kube-proxy: a node with its rules, in either of its modes, and with a firewall that forwards nothing by itself. The rules are
// written by hand as kube-proxy writes them (pkg/proxy/iptables, pkg/proxy/nftables) for one Service with one endpoint.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually, TestLab } from './harness.ts'

const serviceAddr = '10.96.0.10'

/** Port 8080 is where the lab's pods answer. */
function iptablesMode(endpoint: string): string {
  return `
iptables -P FORWARD DROP
iptables-restore --noflush <<'RULES'
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-A - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -d ${serviceAddr}/32 -p tcp -m tcp --dport 8080 -j KUBE-SVC-A
-A KUBE-SVC-A ! -s 10.244.0.0/16 -d ${serviceAddr}/32 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ
-A KUBE-SVC-A -j KUBE-SEP-A
-A KUBE-SEP-A -s ${endpoint}/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination ${endpoint}:8080
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
RULES`
}

function nftablesMode(endpoint: string): string {
  return `nft -f - <<'RULES'
table ip kube-proxy {
  chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
  chain endpoint {
    ip saddr ${endpoint} jump mark-for-masquerade
    meta l4proto tcp dnat to ${endpoint}:8080
  }
  chain service {
    ip daddr ${serviceAddr} tcp dport 8080 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
    goto endpoint
  }
  chain services { ip daddr ${serviceAddr} tcp dport 8080 goto service; }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-output { type nat hook output priority -100; policy accept; jump services; }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0 return
    meta mark set meta mark ^ 0x4000
    masquerade fully-random
  }
}
table inet firewall {
  chain forward { type filter hook forward priority filter; policy drop; ct state established,related accept; }
}
RULES`
}

for (const [mode, rules] of [
  ['iptables', iptablesMode],
  ['nftables', nftablesMode],
] as const) {
  test(`with kube-proxy in ${mode} mode, and a forward chain that drops: pods, Services and hairpins`, async () => {
    using lab = new TestLab()
    const { pods } = lab.up('--pods', '1', '--nodes', '2', '--families', 'ipv4')
    const [near, far] = pods.map(({ addrs }) => addrs[0]!) as [string, string]
    // as kube-proxy says of an endpoint on another node, and then of one that asks for itself
    lab.mustInside('node-1', 'sh', '-ec', rules(far))
    await eventually('pods pass the firewall', () =>
      lab.mustInside('node-1', 'nft', 'list', 'ruleset').includes('causeway: forward pods of cw-br0'),
    )
    assert.deepEqual(lab.ask('pod-default-web-1', far), { pod: 'web-2', source: near })
    assert.deepEqual(lab.ask('pod-default-web-2', near), { pod: 'web-1', source: far })
    assert.deepEqual(lab.ask('pod-default-web-1', serviceAddr), { pod: 'web-2', source: near })
    // from the node itself: masqueraded, to the address that leads the answer back through the tunnel
    lab.mustInside('node-1', 'sysctl', '-qw', 'net.ipv4.conf.eth0.rp_filter=1')
    assert.deepEqual(lab.ask('node-1', serviceAddr), { pod: 'web-2', source: '10.244.0.1' })

    const own =
      mode === 'iptables'
        ? 'iptables -t nat -F; iptables -t nat -X'
        : 'nft delete table ip kube-proxy; nft delete table inet firewall'
    lab.mustInside('node-1', 'sh', '-ec', `${own}; iptables -F; iptables -X 2>/dev/null || true; ${rules(near)}`)
    await eventually('pods pass the firewall again', () =>
      lab.mustInside('node-1', 'nft', 'list', 'ruleset').includes('causeway: forward pods of cw-br0'),
    )
    assert.deepEqual(lab.ask('pod-default-web-1', serviceAddr), { pod: 'web-1', source: '10.244.0.1' })
    assert.equal(lab.ask('node-1', serviceAddr).pod, 'web-1')
  })
}
