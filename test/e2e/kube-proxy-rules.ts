// What kube-proxy writes on a node for Services with one endpoint each, in either of its modes (pkg/proxy/iptables, pkg/proxy/nftables), as a
// shell script. In iptables mode with its rule that drops what connection tracking calls INVALID.

export type Service = {
  readonly addr: string
  readonly endpoint: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  readonly endpointPort: number
}

export type Mode = 'iptables' | 'nftables'

const isIpv6 = ({ addr }: Service): boolean => addr.includes(':')
const clusterCidrOf = (ofIpv6: boolean): string => (ofIpv6 ? 'fd10:244::/48' : '10.244.0.0/16')

function iptablesOf(services: readonly Service[], ofIpv6: boolean): string {
  const bits = ofIpv6 ? 128 : 32
  const chains = services.map((_, at) => `:KUBE-SVC-${at} - [0:0]\n:KUBE-SEP-${at} - [0:0]`)
  const rules = services.map(({ addr, endpoint, protocol, port, endpointPort }, at) => {
    const to = `${ofIpv6 ? `[${endpoint}]` : endpoint}:${endpointPort}`
    return `-A KUBE-SERVICES -d ${addr}/${bits} -p ${protocol} -m ${protocol} --dport ${port} -j KUBE-SVC-${at}
-A KUBE-SVC-${at} ! -s ${clusterCidrOf(ofIpv6)} -d ${addr}/${bits} -p ${protocol} -m ${protocol} --dport ${port} -j KUBE-MARK-MASQ
-A KUBE-SVC-${at} -j KUBE-SEP-${at}
-A KUBE-SEP-${at} -s ${endpoint}/${bits} -j KUBE-MARK-MASQ
-A KUBE-SEP-${at} -p ${protocol} -m ${protocol} -j DNAT --to-destination ${to}`
  })
  return `${ofIpv6 ? 'ip6tables' : 'iptables'}-restore --noflush <<'RULES'
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
${chains.join('\n')}
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
${rules.join('\n')}
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
RULES`
}

function nftablesOf(services: readonly Service[], ofIpv6: boolean): string {
  const ip = ofIpv6 ? 'ip6' : 'ip'
  const cidr = clusterCidrOf(ofIpv6)
  const chains = services.map(
    ({ endpoint, protocol, endpointPort }, at) => `chain endpoint-${at} {
    ${ip} saddr ${endpoint} jump mark-for-masquerade
    meta l4proto ${protocol} dnat to ${ofIpv6 ? `[${endpoint}]` : endpoint}:${endpointPort}
  }`,
  )
  const rules = services.flatMap(({ addr, protocol, port }, at) => [
    `${ip} daddr ${addr} ${protocol} dport ${port} ${ip} saddr != ${cidr} jump mark-for-masquerade`,
    `${ip} daddr ${addr} ${protocol} dport ${port} goto endpoint-${at}`,
  ])
  return `nft -f - <<'RULES'
table ${ip} kube-proxy {
  chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
  ${chains.join('\n  ')}
  chain services {
    ${rules.join('\n    ')}
  }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-output { type nat hook output priority -100; policy accept; jump services; }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0 return
    meta mark set meta mark ^ 0x4000
    masquerade fully-random
  }
}
RULES`
}

export function kubeProxyRules(mode: Mode, services: readonly Service[]): string {
  const of = mode === 'iptables' ? iptablesOf : nftablesOf
  return [false, true]
    .map((ofIpv6) =>
      of(
        services.filter((service) => isIpv6(service) === ofIpv6),
        ofIpv6,
      ),
    )
    .join('\n')
}
