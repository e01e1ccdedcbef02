/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// Reading packets: every read is bounded, and what is cut off is told, since anything may come from a pod or from the wire.
#pragma once

/** Of IP's fragment offset field: the flag of more fragments with the offset, and the offset alone. */
#define CW_FRAGMENT_BITS bpf_htons(0x3fff)
#define CW_FRAGMENT_OFFSET bpf_htons(0x1fff)

/** What is needed to know of a packet between pods: the same for both families. */
struct cw_flow {
	union {
		struct {
			__be32 src4;
			__be32 dst4;
		};
		struct {
			struct cw_addr6 src6;
			struct cw_addr6 dst6;
		};
	};
	__be16 sport;
	__be16 dport;
	/** Bytes of the IP and transport headers. */
	__u16 headers;
	/** Bytes of the packet without its Ethernet header; of a GSO packet: of each segment. */
	__u16 length;
	/** IPPROTO_TCP or IPPROTO_UDP; 0: a packet that only the stack understands (another protocol, a fragment, with options or cut off). */
	__u8 protocol;
	__u8 tcp_flags;
	__u8 ecn;
	__u8 hops;
	/** An echo request of ICMP; `protocol` is 0 then. */
	bool is_echo;
};

#define CW_TCP_FIN 0x01
#define CW_TCP_SYN 0x02
#define CW_TCP_RST 0x04
#define CW_TCP_ACK 0x10

#define CW_ECHO_REQUEST 8
#define CW_ECHO_REQUEST6 128

// The compiler would keep these pointers as 32-bit numbers, which the verifier does not take for pointers: the loads are spelled out.

static __always_inline void *cw_data(const struct __sk_buff *skb)
{
	void *data;

	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(data) : "r"(skb), "i"(offsetof(struct __sk_buff, data)));
	return data;
}

static __always_inline void *cw_end(const struct __sk_buff *skb)
{
	void *end;

	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(end) : "r"(skb), "i"(offsetof(struct __sk_buff, data_end)));
	return end;
}

/** Makes the first bytes of a packet readable in place. False when it has fewer. */
static __always_inline bool cw_reachable(struct __sk_buff *skb, __u32 bytes)
{
	if (cw_data(skb) + bytes <= cw_end(skb))
		return true;
	return bytes <= skb->len && bpf_skb_pull_data(skb, bytes) == 0;
}

static __always_inline bool cw_same_mac(const __u8 *a, const __u8 *b)
{
	return *(const __u32 *)a == *(const __u32 *)b && *(const __u16 *)(a + 4) == *(const __u16 *)(b + 4);
}

/** Whether two IPv6 addresses are the same. */
static __always_inline bool cw_same_bytes16(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

static __always_inline void cw_set_mac(__u8 *to, const __u8 *from)
{
	*(__u32 *)to = *(const __u32 *)from;
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

/**
 * Reads ports and flags at `offset`, where the transport header begins. `l3` is the length of the IP header, `told` that of the packet as
 * its IP header tells it. Leaves protocol 0 when the packet or its header is cut off.
 */
static __always_inline void cw_read_ports(struct __sk_buff *skb, struct cw_flow *flow, __u32 offset, bool is_tcp, __u32 l3,
					  __u32 told)
{
	__u32 bytes = is_tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr);
	struct tcphdr *tcp;
	struct udphdr *udp;

	// a segmented packet is longer than the field can tell, if it is longer than 64 KiB
	if (!skb->gso_size && (told > skb->len - (offset - l3) || told < l3 + bytes))
		return;
	if (!cw_reachable(skb, offset + bytes))
		return;
	tcp = cw_data(skb) + offset;
	udp = (void *)tcp;
	if ((void *)tcp + bytes > cw_end(skb))
		return;
	// both headers begin with the ports
	flow->sport = udp->source;
	flow->dport = udp->dest;
	flow->headers = l3 + bytes;
	if (is_tcp) {
		flow->tcp_flags = ((__u8 *)tcp)[13];
		flow->headers = l3 + tcp->doff * 4;
	}
	flow->protocol = is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
	flow->length = skb->gso_size ? skb->gso_size + flow->headers : skb->len - (offset - l3);
}

/** Whether the message at `offset` is an echo request. One that is cut off is not. */
static __always_inline bool cw_asks_for_echo(struct __sk_buff *skb, __u32 offset, __u8 request)
{
	__u8 header[8];

	return bpf_skb_load_bytes(skb, offset, header, sizeof(header)) == 0 && header[0] == request;
}

/** The same for the protocols that may be carried; of ICMP it reads the type, and of others nothing. */
static __always_inline void cw_read_transport(struct __sk_buff *skb, struct cw_flow *flow, __u32 offset, __u8 protocol, __u32 l3,
					      __u32 told)
{
	if (protocol == IPPROTO_TCP)
		cw_read_ports(skb, flow, offset, true, l3, told);
	else if (protocol == IPPROTO_UDP)
		cw_read_ports(skb, flow, offset, false, l3, told);
	else if (protocol == IPPROTO_ICMP && l3 == sizeof(struct iphdr))
		flow->is_echo = cw_asks_for_echo(skb, offset, CW_ECHO_REQUEST);
	else if (protocol == IPPROTO_ICMPV6 && l3 == sizeof(struct ipv6hdr))
		flow->is_echo = cw_asks_for_echo(skb, offset, CW_ECHO_REQUEST6);
}

/**
 * Reads an IPv4 packet whose header begins at `offset`. False when it is no whole IPv4 header. Sets the addresses in any case of true.
 */
static __always_inline bool cw_read_ipv4(struct __sk_buff *skb, struct cw_flow *flow, __u32 offset)
{
	struct iphdr *ip;
	bool is_plain;
	__u8 protocol;
	__u32 told;

	if (!cw_reachable(skb, offset + sizeof(*ip)))
		return false;
	ip = cw_data(skb) + offset;
	if ((void *)(ip + 1) > cw_end(skb))
		return false;
	if (ip->version != 4 || ip->ihl < 5)
		return false;
	flow->src4 = ip->saddr;
	flow->dst4 = ip->daddr;
	flow->hops = ip->ttl;
	flow->ecn = ip->tos & 3;
	flow->protocol = 0;
	is_plain = ip->ihl == 5 && !(ip->frag_off & CW_FRAGMENT_BITS);
	protocol = ip->protocol;
	told = bpf_ntohs(ip->tot_len);
	if (is_plain)
		cw_read_transport(skb, flow, offset + sizeof(*ip), protocol, sizeof(*ip), told);
	return true;
}

/** The same for IPv6. A packet with extension headers is the stack's. */
static __always_inline bool cw_read_ipv6(struct __sk_buff *skb, struct cw_flow *flow, __u32 offset, __u8 *next)
{
	struct ipv6hdr *ip;
	__u32 told;

	if (!cw_reachable(skb, offset + sizeof(*ip)))
		return false;
	ip = cw_data(skb) + offset;
	if ((void *)(ip + 1) > cw_end(skb))
		return false;
	if (ip->version != 6)
		return false;
	__builtin_memcpy(&flow->src6, &ip->saddr, 16);
	__builtin_memcpy(&flow->dst6, &ip->daddr, 16);
	flow->hops = ip->hop_limit;
	flow->ecn = (ip->flow_lbl[0] >> 4) & 3;
	flow->protocol = 0;
	*next = ip->nexthdr;
	told = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	cw_read_transport(skb, flow, offset + sizeof(*ip), *next, sizeof(*ip), told);
	return true;
}

/** One hop less, for an IPv4 header at `offset`, with its checksum (RFC 1624). False when the header cannot be reached. */
static __always_inline bool cw_hop_ipv4(struct __sk_buff *skb, __u32 offset)
{
	struct iphdr *ip = cw_data(skb) + offset;
	__u32 check;

	if ((void *)(ip + 1) > cw_end(skb))
		return false;
	check = (__u32)ip->check + (__u32)bpf_htons(0x0100);
	ip->check = (__u16)(check + (check >= 0xffff));
	ip->ttl--;
	return true;
}

/** The same for IPv6. Without a header checksum, a checksum over the whole packet that the device has given has to follow. */
static __always_inline bool cw_hop_ipv6(struct __sk_buff *skb, __u32 offset)
{
	struct ipv6hdr *ip = cw_data(skb) + offset;

	if ((void *)(ip + 1) > cw_end(skb))
		return false;
	ip->hop_limit--;
	// the byte is the second of its 16-bit word, in network byte order: one less is the sum plus 0xfffe
	bpf_csum_update(skb, bpf_htons(0xfffe));
	return true;
}

static __always_inline bool cw_hop(struct __sk_buff *skb, __u32 offset, bool is_ipv4)
{
	return is_ipv4 ? cw_hop_ipv4(skb, offset) : cw_hop_ipv6(skb, offset);
}

static __always_inline __be16 cw_ether_type(bool is_ipv4)
{
	return is_ipv4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/** Whether the packet was understood as far as a connection, or an echo request, shows itself. */
static __always_inline bool cw_is_read(const struct cw_flow *flow)
{
	return flow->protocol || flow->is_echo;
}
