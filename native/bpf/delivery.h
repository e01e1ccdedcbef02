/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// The ways out of a program: to a pod of this node, to another node natively, to another node through the tunnel.
#pragma once

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

/** Its first bytes: flags with the bit that says that there is a VNI (RFC 7348 section 5). */
struct cw_vxlan {
	__be32 flags;
	__be32 vni;
};

#define CW_VXLAN_HAS_VNI bpf_htonl(0x08000000)

/** All that the program puts before the inner packet, after the outer Ethernet header. */
struct cw_outer {
	struct iphdr ip;
	struct udphdr udp;
	struct cw_vxlan vxlan;
	struct ethhdr inner;
} __attribute__((packed));

_Static_assert(sizeof(struct cw_outer) == CW_TUNNEL_BYTES, "cw_outer");

/** In tc_index: a program has sent the packet to the pod's device and counted it, which cw_to_pod on that device is not to do again. */
#define CW_CARRIED_MARK 0x4357

/** Gives a packet to a pod of this node. Its IP header begins after the Ethernet header, and has one hop less already. */
static __always_inline int cw_deliver(struct __sk_buff *skb, const struct cw_pod *pod, __be16 protocol,
				      const struct cw_config *config)
{
	struct ethhdr *eth = cw_data(skb);

	if ((void *)(eth + 1) > cw_end(skb))
		return CW_DROP(MALFORMED);
	cw_set_mac(eth->h_dest, pod->mac);
	cw_set_mac(eth->h_source, config->bridge_mac);
	eth->h_proto = protocol;
	if (pod->flags & CW_POD_LIMITED) {
		skb->tc_index = CW_CARRIED_MARK;
		return bpf_redirect(pod->device, 0);
	}
	// the packet was not for the MAC of the device on which it was seen, and the pod's stack would drop it as somebody else's
	if (skb->pkt_type != 0)
		bpf_skb_change_type(skb, 0);
	return bpf_redirect_peer(pod->device, 0);
}

/**
 * Asks the kernel's routing, by a question that has the addresses already, for the next hop and the device to it. False when the stack has to
 * decide.
 */
static __always_inline bool cw_route(struct __sk_buff *skb, struct bpf_fib_lookup *fib, const struct cw_config *config,
				     struct bpf_redir_neigh *next, __u32 *device)
{
	long result;

	fib->ifindex = config->bridge_device;
	result = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	if (fib->ifindex == config->bridge_device || fib->ifindex == config->tunnel_device)
		return false;
	*device = fib->ifindex;
	// the next hop of an IPv4 route may be an IPv6 address (RFC 8950)
	next->nh_family = fib->family;
	if (fib->family == AF_INET)
		next->ipv4_nh = fib->ipv4_dst;
	else
		__builtin_memcpy(next->ipv6_nh, fib->ipv6_dst, 16);
	return true;
}

static __always_inline bool cw_route4(struct __sk_buff *skb, __be32 src, __be32 dst, __u16 bytes, __u8 protocol,
				      const struct cw_config *config, struct bpf_redir_neigh *next, __u32 *device)
{
	struct bpf_fib_lookup fib = {};

	fib.family = AF_INET;
	fib.l4_protocol = protocol;
	fib.tot_len = bytes;
	fib.ipv4_src = src;
	fib.ipv4_dst = dst;
	return cw_route(skb, &fib, config, next, device);
}

static __always_inline bool cw_route6(struct __sk_buff *skb, const struct cw_flow *flow, const struct cw_config *config,
				      struct bpf_redir_neigh *next, __u32 *device)
{
	struct bpf_fib_lookup fib = {};

	fib.family = AF_INET6;
	fib.l4_protocol = flow->protocol;
	fib.tot_len = flow->length;
	__builtin_memcpy(fib.ipv6_src, &flow->src6, 16);
	__builtin_memcpy(fib.ipv6_dst, &flow->dst6, 16);
	return cw_route(skb, &fib, config, next, device);
}

static __always_inline __u16 cw_ipv4_check(const void *header)
{
	const __u16 *words = header;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/** The IPv4 address of a tunnel's end. */
static __always_inline __be32 cw_end4(const __u8 *end)
{
	return *(const __be32 *)(end + 12);
}

/**
 * Has the tunnel device push the outer headers. The outer UDP header over IPv6 needs a checksum (RFC 8200 section 8.1), which the device
 * makes, or leaves to the network card. The packet is as it was when the result is `CW_STACK`.
 */
static __always_inline int cw_send_by_device(struct __sk_buff *skb, const struct cw_node *node, __u8 ecn, bool is_ipv4,
					     const struct cw_config *config)
{
	struct bpf_tunnel_key key = {};
	struct ethhdr *eth;

	key.tunnel_id = config->vni;
	key.tunnel_ttl = 64;
	key.tunnel_tos = ecn;
	__builtin_memcpy(key.local_ipv6, node->tunnel_src, 16);
	__builtin_memcpy(key.remote_ipv6, node->tunnel_dst, 16);
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6))
		return CW_STACK;
	if (!cw_hop(skb, ETH_HLEN, is_ipv4))
		return CW_STACK;
	eth = cw_data(skb);
	if ((void *)(eth + 1) > cw_end(skb))
		return CW_DROP(MALFORMED);
	cw_set_mac(eth->h_dest, node->vtep_mac);
	cw_set_mac(eth->h_source, config->tunnel_mac);
	return bpf_redirect(config->tunnel_device, 0);
}

/** Pushes the outer headers of VXLAN over IPv4 (RFC 7348 section 5). False when the kernel refuses; the packet is as it was then. */
static __always_inline bool cw_encapsulate(struct __sk_buff *skb, const struct cw_node *node, __u8 ecn, __be16 protocol,
					   const struct cw_config *config)
{
	struct cw_outer *outer;
	__u32 hash = bpf_get_hash_recalc(skb);
	__u32 length;

	if (bpf_skb_adjust_room(skb, sizeof(*outer), BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
					BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH))
		return false;
	outer = cw_data(skb) + ETH_HLEN;
	// the kernel has just made room for them: this only tells the verifier
	if ((void *)(outer + 1) > cw_end(skb))
		return false;
	length = skb->len - ETH_HLEN;
	*(__u16 *)(void *)outer = bpf_htons(0x4500 | ecn);
	outer->ip.tot_len = bpf_htons(length);
	// without the flag DF the identification has to differ between packets (RFC 6864 section 4.2)
	outer->ip.id = bpf_get_prandom_u32();
	outer->ip.frag_off = 0;
	outer->ip.ttl = 64;
	outer->ip.protocol = IPPROTO_UDP;
	outer->ip.check = 0;
	outer->ip.saddr = cw_end4(node->tunnel_src);
	outer->ip.daddr = cw_end4(node->tunnel_dst);
	outer->ip.check = cw_ipv4_check((void *)outer);
	// a port of the dynamic range, the same for all packets of a connection (RFC 7348 section 5)
	outer->udp.source = bpf_htons(0xc000 | ((hash ^ hash >> 16) & 0x3fff));
	outer->udp.dest = config->vxlan_port;
	outer->udp.len = bpf_htons(length - sizeof(outer->ip));
	outer->udp.check = 0;
	outer->vxlan.flags = CW_VXLAN_HAS_VNI;
	outer->vxlan.vni = bpf_htonl(config->vni << 8);
	cw_set_mac(outer->inner.h_dest, node->vtep_mac);
	cw_set_mac(outer->inner.h_source, config->tunnel_mac);
	outer->inner.h_proto = protocol;
	return true;
}

#ifndef BPF_F_ADJ_ROOM_DECAP_L3_IPV6
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)
#endif

/** Takes the outer headers off. False when the kernel refuses, as before 6.4 with IPv6 in IPv4; the packet is as it was then. */
static __always_inline bool cw_decapsulate(struct __sk_buff *skb, bool is_ipv4)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	long level = bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY);

	if (!is_ipv4)
		flags |= BPF_F_ADJ_ROOM_DECAP_L3_IPV6;
	// the device has checked the inner checksum too: that stays true
	if (level > 0)
		flags |= BPF_F_ADJ_ROOM_NO_CSUM_RESET;
	if (bpf_skb_adjust_room(skb, -(__s32)CW_TUNNEL_BYTES, BPF_ADJ_ROOM_MAC, flags))
		return false;
	if (level > 0)
		bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
	return true;
}
