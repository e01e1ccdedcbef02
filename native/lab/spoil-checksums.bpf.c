/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// A fault of the lab (src/lab/faults/checksums.ts): packets whose checksum of TCP or UDP is wrong, as a network card leaves them that computes
// it wrongly. ICMP is left as it is: with such a card ping works.
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6
#define UDP_PORT 2
#define UDP_HEADER 8
#define VXLAN_HEADER 8

char spoil_license[] SEC("license") = "Dual MIT/GPL";

struct transport {
	__u8 protocol;
	/** From the beginning of the frame on; 0 where there is none. */
	__u32 at;
};

/** Where the transport header of a frame is. Fragments, options and extension headers are none of its business. */
static __always_inline struct transport transport_of(struct __sk_buff *skb, __u32 frame)
{
	struct transport none = {}, found;
	struct ipv6hdr ip6;
	struct iphdr ip;
	__be16 type;

	if (bpf_skb_load_bytes(skb, frame + 12, &type, sizeof(type)) != 0)
		return none;
	if (type == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, frame + ETH_HLEN, &ip, sizeof(ip)) != 0 || ip.ihl != 5 || (ip.frag_off & bpf_htons(0x3fff)))
			return none;
		found.protocol = ip.protocol;
		found.at = frame + ETH_HLEN + sizeof(ip);
		return found;
	}
	if (type != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, frame + ETH_HLEN, &ip6, sizeof(ip6)) != 0)
		return none;
	found.protocol = ip6.nexthdr;
	found.at = frame + ETH_HLEN + sizeof(ip6);
	return found;
}

static __always_inline void spoil(struct __sk_buff *skb, struct transport transport)
{
	__u32 at;
	__u16 sum;

	if (transport.at == 0)
		return;
	if (transport.protocol == IPPROTO_TCP)
		at = transport.at + TCP_CHECKSUM;
	else if (transport.protocol == IPPROTO_UDP)
		at = transport.at + UDP_CHECKSUM;
	else
		return;
	// a checksum of 0 says that there is none
	if (bpf_skb_load_bytes(skb, at, &sum, sizeof(sum)) != 0 || sum == 0)
		return;
	sum = sum == 0x5555 ? 0x5554 : sum ^ 0x5555;
	bpf_skb_store_bytes(skb, at, &sum, sizeof(sum), 0);
}

/** Packets that cross as they are. */
SEC("native")
int spoil_native(struct __sk_buff *skb)
{
	spoil(skb, transport_of(skb, 0));
	return TC_ACT_UNSPEC;
}

/** What the tunnel carries. TUNNEL_PORT is given to the compiler. */
SEC("tunnel")
int spoil_tunnel(struct __sk_buff *skb)
{
	struct transport outer = transport_of(skb, 0);
	__be16 port;

	if (outer.at == 0 || outer.protocol != IPPROTO_UDP)
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, outer.at + UDP_PORT, &port, sizeof(port)) == 0 && port == bpf_htons(TUNNEL_PORT))
		spoil(skb, transport_of(skb, outer.at + UDP_HEADER + VXLAN_HEADER));
	return TC_ACT_UNSPEC;
}
