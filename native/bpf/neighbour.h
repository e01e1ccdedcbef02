/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// ARP and neighbour discovery of pods. A pod tells its own addresses only. Whom it asks for within the node's pod CIDRs is answered for
// with the gateway's MAC, so that packets between pods of the node are routed and not bridged.
#pragma once

/** An ARP packet for IPv4 over Ethernet (RFC 826). */
struct cw_arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_bytes;
	__u8 protocol_bytes;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed));

#define CW_ARP_REQUEST bpf_htons(1)

/** A neighbour solicitation or advertisement with one option that holds a MAC (RFC 4861 sections 4.3, 4.4 and 4.6.1). */
struct cw_neighbour {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 flags;
	struct cw_addr6 target;
	__u8 option;
	__u8 option_words;
	__u8 mac[6];
} __attribute__((packed));

#define CW_ND_ROUTER_SOLICITATION 133
#define CW_ND_ROUTER_ADVERTISEMENT 134
#define CW_ND_SOLICITATION 135
#define CW_ND_ADVERTISEMENT 136
#define CW_ND_REDIRECT 137
#define CW_ND_OPTION_SOURCE_MAC 1
#define CW_ND_OPTION_TARGET_MAC 2
/** An advertisement's flags: from a router, solicited, overrides what is cached. */
#define CW_ND_ANSWER_FLAGS bpf_htonl(0xe0000000)
/** Bytes that all messages begin with. */
#define CW_ND_HEADER_BYTES 8
/** Bytes of the message without the option. */
#define CW_ND_BARE_BYTES (sizeof(struct cw_neighbour) - 8)

/** Each pod may send so many packets in a second to more than one receiver; the next ones are dropped. On to the bridge else. */
static __always_inline int cw_bounded(__u32 slot)
{
	struct cw_budget *budget = bpf_map_lookup_elem(&cw_budgets, &slot);

	if (!budget)
		return CW_STACK;
	return cw_within(budget, CW_LIMIT_MULTICAST_PER_SECOND) ? CW_STACK : CW_DROP(MULTICAST_BUDGET);
}

/** Whether the gateway's MAC is the answer to a question for this address: one of this node's pods that is not bridged, or nobody. */
static __always_inline bool cw_answers(const struct cw_pod *target, const struct cw_node *node, __u32 asking_device)
{
	if (!node || node->way != CW_WAY_LOCAL)
		return false;
	return !target || !(target->flags & CW_POD_BRIDGED || target->device == asking_device);
}

static __noinline int cw_arp_from_pod(struct __sk_buff *skb, struct cw_port *port, struct cw_config *config)
{
	struct ethhdr *eth;
	struct cw_arp *arp;
	struct cw_pod *pod;
	__be32 asked;

	if (!port || !config)
		return CW_STACK;
	if (!cw_reachable(skb, sizeof(*eth) + sizeof(*arp)))
		return CW_DROP(MALFORMED);
	eth = cw_data(skb);
	arp = (void *)(eth + 1);
	if ((void *)(arp + 1) > cw_end(skb))
		return CW_DROP(MALFORMED);
	if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) || arp->hardware_bytes != 6 ||
	    arp->protocol_bytes != 4)
		return CW_DROP(MALFORMED);
	if (!cw_same_mac(eth->h_source, port->mac))
		return CW_DROP(SOURCE_MAC);
	if (!cw_same_mac(arp->sender_mac, port->mac))
		return CW_DROP(ARP_SENDER);
	// a probe tells no address (RFC 5227 section 2.1.1)
	if (arp->sender != 0) {
		struct cw_addr4 sender;

		__builtin_memcpy(&sender, &arp->sender, 4);
		pod = bpf_map_lookup_elem(&cw_pods4, &sender);
		if (!pod || pod->device != skb->ifindex)
			return CW_DROP(ARP_SENDER);
	}
	asked = arp->target;
	if (arp->operation == CW_ARP_REQUEST) {
		struct cw_addr4 target;

		__builtin_memcpy(&target, &asked, 4);
		pod = bpf_map_lookup_elem(&cw_pods4, &target);
		if (cw_answers(pod, cw_node4(asked), skb->ifindex)) {
			arp->operation = bpf_htons(2);
			cw_set_mac(arp->target_mac, arp->sender_mac);
			arp->target = arp->sender;
			cw_set_mac(arp->sender_mac, config->bridge_mac);
			arp->sender = asked;
			cw_set_mac(eth->h_dest, eth->h_source);
			cw_set_mac(eth->h_source, config->bridge_mac);
			return bpf_redirect(skb->ifindex, 0);
		}
	}
	return eth->h_dest[0] & 1 ? cw_bounded(port->slot) : CW_STACK;
}

/** The link-local address that the kernel derives from the gateway's MAC (RFC 4291 appendix A). */
static __always_inline bool cw_is_gateway_link_local(const struct cw_addr6 *addr, const __u8 *mac)
{
	const __u8 *a = addr->addr;

	return a[8] == (mac[0] ^ 2) && a[9] == mac[1] && a[10] == mac[2] && a[11] == 0xff && a[12] == 0xfe && a[13] == mac[3] &&
	       a[14] == mac[4] && a[15] == mac[5];
}

static __always_inline bool cw_is_link_local(const struct cw_addr6 *addr)
{
	return addr->addr[0] == 0xfe && (addr->addr[1] & 0xc0) == 0x80;
}

static __always_inline bool cw_is_unspecified(const struct cw_addr6 *addr)
{
	const __u64 *words = (const __u64 *)addr;

	return words[0] == 0 && words[1] == 0;
}

/** Whether a pod may speak as this address: one of its own, or a link-local one that is not the gateway's. */
static __always_inline bool cw_may_speak_as(const struct cw_addr6 *addr, __u32 device, const struct cw_config *config)
{
	struct cw_pod *pod;

	if (cw_is_link_local(addr))
		return !cw_is_gateway_link_local(addr, config->bridge_mac);
	pod = bpf_map_lookup_elem(&cw_pods6, addr);
	return pod && pod->device == device;
}

/** Turns a solicitation in `skb` into the advertisement that answers it (RFC 4861 section 7.2.4). */
static __always_inline int cw_advertise(struct __sk_buff *skb, const struct cw_config *config)
{
	struct ethhdr *eth = cw_data(skb);
	struct ipv6hdr *ip = (void *)(eth + 1);
	struct cw_neighbour *message = (void *)(ip + 1);
	struct cw_addr6 asking;
	__be32 pseudo[2];
	__s64 sum;

	if ((void *)(message + 1) > cw_end(skb))
		return CW_DROP(MALFORMED);
	__builtin_memcpy(&asking, &ip->saddr, 16);
	__builtin_memcpy(&ip->saddr, &message->target, 16);
	__builtin_memcpy(&ip->daddr, &asking, 16);
	ip->payload_len = bpf_htons(sizeof(*message));
	message->type = CW_ND_ADVERTISEMENT;
	message->flags = CW_ND_ANSWER_FLAGS;
	message->option = CW_ND_OPTION_TARGET_MAC;
	cw_set_mac(message->mac, config->bridge_mac);
	message->check = 0;
	// the checksum covers both addresses, the length, the protocol and the message (RFC 8200 section 8.1)
	pseudo[0] = bpf_htonl(sizeof(*message));
	pseudo[1] = bpf_htonl(IPPROTO_ICMPV6);
	sum = bpf_csum_diff(0, 0, (__be32 *)&ip->saddr, 32, 0);
	sum = bpf_csum_diff(0, 0, pseudo, sizeof(pseudo), sum);
	sum = bpf_csum_diff(0, 0, (__be32 *)message, sizeof(*message), sum);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	message->check = ~(__u16)sum;
	cw_set_mac(eth->h_dest, eth->h_source);
	cw_set_mac(eth->h_source, config->bridge_mac);
	return bpf_redirect(skb->ifindex, 0);
}

/** Of one message; the kernel's own have at most two. */
#define CW_ND_MOST_OPTIONS 4

/** Whether every MAC that the options tell is the pod's. They begin at `offset`, and go on to the end. */
static __always_inline bool cw_tells_own_mac(struct __sk_buff *skb, __u32 offset, const struct cw_port *port)
{
	for (int i = 0; i < CW_ND_MOST_OPTIONS; i++) {
		// the MAC is read as a word, which has to be aligned on the stack
		struct {
			__u16 unused;
			__u8 type;
			__u8 words;
			__u8 mac[6];
		} __attribute__((aligned(4))) option;

		if (offset == skb->len)
			return true;
		if (bpf_skb_load_bytes(skb, offset, &option.type, 8) || option.words == 0)
			return false;
		if ((option.type == CW_ND_OPTION_TARGET_MAC || option.type == CW_ND_OPTION_SOURCE_MAC) &&
		    !(option.words == 1 && cw_same_mac(option.mac, port->mac)))
			return false;
		offset += option.words * 8;
	}
	return offset == skb->len;
}

/** Whether the ICMPv6 message right behind the IPv6 header is a neighbour advertisement. */
static __always_inline bool cw_is_advertisement(struct __sk_buff *skb)
{
	__u8 type;

	return bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &type, 1) == 0 && type == CW_ND_ADVERTISEMENT;
}

/** Neighbour discovery: `CW_STACK` for what may pass, after the checks that every packet of IPv6 has passed. */
static __noinline int cw_discovery_from_pod(struct __sk_buff *skb, struct cw_port *port, struct cw_config *config)
{
	struct cw_neighbour *message;
	struct cw_addr6 source, target;
	struct cw_pod *pod;
	struct ipv6hdr *ip;
	__u32 bytes = skb->len;
	__u8 type;

	if (!port || !config)
		return CW_STACK;
	if (bytes < ETH_HLEN + sizeof(*ip) + CW_ND_HEADER_BYTES)
		return CW_DROP(MALFORMED);
	if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(*ip), &type, 1))
		return CW_DROP(MALFORMED);
	if (type == CW_ND_ROUTER_ADVERTISEMENT || type == CW_ND_REDIRECT)
		return CW_DROP(ROUTER_MESSAGE);
	if (type == CW_ND_ROUTER_SOLICITATION)
		return cw_tells_own_mac(skb, ETH_HLEN + sizeof(*ip) + CW_ND_HEADER_BYTES, port) ? CW_STACK
												 : CW_DROP(NEIGHBOUR_TARGET);
	if (type != CW_ND_SOLICITATION && type != CW_ND_ADVERTISEMENT)
		return CW_STACK;
	if (!cw_reachable(skb, ETH_HLEN + sizeof(*ip) + CW_ND_BARE_BYTES))
		return CW_DROP(MALFORMED);
	if (!cw_tells_own_mac(skb, ETH_HLEN + sizeof(*ip) + CW_ND_BARE_BYTES, port))
		return CW_DROP(NEIGHBOUR_TARGET);
	ip = cw_data(skb) + ETH_HLEN;
	message = (void *)(ip + 1);
	if ((void *)message + CW_ND_BARE_BYTES > cw_end(skb))
		return CW_DROP(MALFORMED);
	__builtin_memcpy(&source, &ip->saddr, 16);
	__builtin_memcpy(&target, &message->target, 16);
	// a probe for a double of an address (RFC 4862 section 5.4.2) tells that address as an advertisement does
	if (type == CW_ND_ADVERTISEMENT || cw_is_unspecified(&source))
		return cw_may_speak_as(&target, skb->ifindex, config) ? CW_STACK : CW_DROP(NEIGHBOUR_TARGET);
	// a question that has come from beyond the link is none (RFC 4861 section 7.1.1), and one without its MAC is for the stack to answer
	if (ip->hop_limit != 255 || bytes != ETH_HLEN + sizeof(*ip) + sizeof(*message) ||
	    !cw_reachable(skb, ETH_HLEN + sizeof(*ip) + sizeof(*message)))
		return CW_STACK;
	message = cw_data(skb) + ETH_HLEN + sizeof(*ip);
	if ((void *)(message + 1) > cw_end(skb) || message->option != CW_ND_OPTION_SOURCE_MAC)
		return CW_STACK;
	pod = bpf_map_lookup_elem(&cw_pods6, &target);
	if (!cw_answers(pod, cw_node6(&target), skb->ifindex))
		return CW_STACK;
	return cw_advertise(skb, config);
}
