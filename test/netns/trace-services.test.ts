// What a node says of packets to Services, with the rules of a proxy of services in its kernel.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFlows, flowDelete } from '#/kernel/flows.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { NETLINK_NETFILTER } from '#/sys/netlink-socket.ts'
import { type Flow } from '#/wire/netlink/flow.ts'
import { Scene } from './trace-scene.ts'

/** As kube-proxy writes them in its mode nftables, and in its mode iptables. */
const serviceRules = {
  nftables: `nft -f - <<'RULES'
table ip kube-proxy {
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = {
      10.96.0.10 . udp . 53 : goto service-AAAAAAAA-kube-system/dns/udp/dns,
      10.96.0.80 . tcp . 8080 : goto service-BBBBBBBB-shop/web/tcp/http
    }
  }
  chain mark-for-masquerade { meta mark set mark or 0x4000; }
  chain endpoint-CCCCCCCC-shop/web/tcp/http__10.244.2.9/80 {
    ip saddr 10.244.2.9 jump mark-for-masquerade
    meta l4proto tcp dnat to 10.244.2.9:80
  }
  chain endpoint-DDDDDDDD-shop/web/tcp/http__10.244.1.3/80 {
    ip saddr 10.244.1.3 jump mark-for-masquerade
    meta l4proto tcp dnat to 10.244.1.3:80
  }
  chain service-AAAAAAAA-kube-system/dns/udp/dns { counter; }
  chain service-BBBBBBBB-shop/web/tcp/http {
    ip daddr 10.96.0.80 tcp dport 8080 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
    numgen random mod 2 vmap {
      0 : goto endpoint-CCCCCCCC-shop/web/tcp/http__10.244.2.9/80,
      1 : goto endpoint-DDDDDDDD-shop/web/tcp/http__10.244.1.3/80
    }
  }
  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
  chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
}
RULES`,
  iptables: restored('iptables'),
  'legacy iptables': restored('iptables-legacy'),
} as const

function restored(program: string): string {
  return `${program}-restore --noflush <<'RULES'
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-B - [0:0]
:KUBE-SEP-C - [0:0]
:KUBE-SEP-D - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/dns:dns cluster IP" -m udp --dport 53 -j KUBE-MARK-MASQ
-A KUBE-SERVICES -d 10.96.0.80/32 -p tcp -m comment --comment "shop/web:http cluster IP" -m tcp --dport 8080 -j KUBE-SVC-B
-A KUBE-SVC-B ! -s 10.244.0.0/16 -d 10.96.0.80/32 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ
-A KUBE-SVC-B -m comment --comment "shop/web:http -> 10.244.2.9:80" -m statistic --mode random --probability 0.5 -j KUBE-SEP-C
-A KUBE-SVC-B -m comment --comment "shop/web:http -> 10.244.1.3:80" -j KUBE-SEP-D
-A KUBE-SEP-C -s 10.244.2.9/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-C -p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination 10.244.2.9:80
-A KUBE-SEP-D -s 10.244.1.3/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-D -p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination 10.244.1.3:80
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
COMMIT
RULES`
}

/** A connection from port 40000, of which only the first packet is sent. */
const connecting = `python3 -c "import socket; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('10.244.1.2', 40000)); s.setblocking(0); s.connect_ex(('10.96.0.80', 8080))"`

/** The packet may be on its way still when the process that sent it has ended. */
async function trackedFlow(conntrack: Netlink): Promise<Flow> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const flows = await findFlows(conntrack, () => true)
    const flow = flows.find(({ srcPort, dstPort }) => srcPort === 40_000 && dstPort === 80)
    if (flow) return flow
    await sleep(20)
  }
  assert.fail('the connection is not tracked')
}

test("a Service is told with its ends, and the rest of the way is that to one of them; connection tracking's where it has one", async () => {
  await using scene = await Scene.start('bridge')
  const other = scene.node.pods.get('other')!
  const remove = {
    nftables: 'nft delete table ip kube-proxy',
    iptables: 'nft delete table ip nat',
    'legacy iptables': 'iptables-legacy -t nat -F; iptables-legacy -t nat -X',
  }
  for (const [mode, rules] of Object.entries(serviceRules)) {
    scene.host.sh(rules)
    const found = await scene.ask({ dst: '10.96.0.80' })
    const step = found.steps.find(({ kind }) => kind === 'service')
    assert.match(
      step?.text ?? '',
      /^10\.96\.0\.80:8080 \(shop\/web.*\) is translated into one of 2: 10\.244\.\d\.\d:80, 10\.244\.\d\.\d:80, by .*; what follows is for /,
      mode,
    )
    const { addr, ...rest } = found.translatedTo!
    assert.deepEqual(rest, { port: 80, among: 2 }, mode)
    assert.equal(found.leaves?.outerDst, addr === '10.244.2.9' ? '172.30.1.2' : undefined, mode)
    assert.deepEqual(
      found.steps.filter(({ isObstacle }) => isObstacle),
      [],
      mode,
    )
    const elsewhere = await scene.ask({ dst: '10.96.0.80', port: '8081' })
    assert.equal(elsewhere.translatedTo, undefined, mode)
    // where the bridge does not show its frames to the rules, an answer of a pod of this node is not translated back
    scene.host.sh('sysctl -qw net.bridge.bridge-nf-call-iptables=0')
    const [first, second] = await Promise.all([
      scene.obstacles({ dst: '10.96.0.80' }),
      scene.ask({ dst: '10.96.0.80' }),
    ])
    const isNear = second.translatedTo!.addr === '10.244.1.3'
    assert.match(first[0] ?? '', isNear ? /^service cw-br0 pod shop\/other answers over the bridge/ : /^$/, mode)
    scene.host.sh('sysctl -qw net.bridge.bridge-nf-call-iptables=1')
    // a connection that is there has its end
    // a refusal would end it at once
    other.sh(`nft 'table inet quiet { chain c { type filter hook input priority 0; tcp dport 80 drop; }; }'`)
    scene.web.sh(connecting)
    using conntrack = new Netlink(NETLINK_NETFILTER)
    const flow = await trackedFlow(conntrack)
    other.sh('nft delete table inet quiet')
    const tracked = await scene.ask({ dst: '10.96.0.80' })
    assert.equal(tracked.translatedTo?.addr, String(flow.dst), mode)
    assert.match(tracked.steps.find(({ kind }) => kind === 'service')!.text, /connection tracking has it at/)
    conntrack.execute(flowDelete(flow))
    scene.host.sh(remove[mode as keyof typeof remove])
  }
})
