/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// What a pod sends: whether it may, and whether it goes past the stack or to it.
#pragma once

/** So many extension headers of IPv6 are looked behind (RFC 8200 section 4.1). */
#define CW_MOST_EXTENSIONS 6

/**
 * To the node's own stack: from a pod it comes through the gateway, whichever MAC the pod took for its destination. Between two pods of which
 * one has the bridge datapath, whose flags are `from_flags` and those of `to`, it crosses the bridge in both directions.
 */
static __always_inline int cw_to_stack(struct __sk_buff *skb, __u32 from_flags, const struct cw_pod *to, const struct cw_config *config)
{
	struct ethhdr *eth = cw_data(skb);

	if ((void *)(eth + 1) > cw_end(skb))
		return CW_DROP(MALFORMED);
	cw_set_mac(eth->h_dest, to && (to->flags | from_flags) & CW_POD_BRIDGED ? to->mac : config->bridge_mac);
	return CW_STACK;
}

/** A pod on the port whose address in the packet is not its own. A port without an entry is not known yet. */
static __noinline int cw_foreign_source(struct __sk_buff *skb)
{
	return cw_port_of(skb->ifindex) ? CW_DROP(SOURCE_ADDRESS) : CW_STACK;
}

/** Sends a carried packet to another node, by its way. `CW_STACK` when the way is not there; nothing is changed then. */
static __always_inline int cw_send(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4, const struct cw_node *node,
				   const struct cw_config *config)
{
	struct bpf_redir_neigh next = {};
	__u32 device;

	if (node->way == CW_WAY_NATIVE) {
		if (!(is_ipv4 ? cw_route4(skb, flow->src4, flow->dst4, flow->length, flow->protocol, config, &next, &device)
			      : cw_route6(skb, flow, config, &next, &device)))
			return CW_STACK;
		if (!cw_hop(skb, ETH_HLEN, is_ipv4))
			return CW_STACK;
		return bpf_redirect_neigh(device, &next, sizeof(next), 0);
	}
	if (node->way == CW_WAY_TUNNEL6)
		return cw_send_by_device(skb, node, flow->ecn, is_ipv4, config);
	if (!cw_route4(skb, cw_end4(node->tunnel_src), cw_end4(node->tunnel_dst), flow->length + CW_TUNNEL_BYTES, IPPROTO_UDP, config, &next,
		       &device))
		return CW_STACK;
	if (!cw_encapsulate(skb, node, flow->ecn, cw_ether_type(is_ipv4), config))
		return CW_STACK;
	// the room before it is there now: this only tells the verifier
	if (!cw_hop(skb, ETH_HLEN + CW_TUNNEL_BYTES, is_ipv4))
		return CW_DROP(MALFORMED);
	return bpf_redirect_neigh(device, &next, sizeof(next), 0);
}

/**
 * Whether there is a way past the stack. Not from a pod with the bridge datapath: what comes to it takes the stack, and connection tracking
 * would call the one direction that it sees invalid.
 */
static __always_inline bool cw_has_way(const struct cw_pod *from, const struct cw_pod *to, const struct cw_node *node)
{
	if (from->flags & CW_POD_BRIDGED)
		return false;
	return to ? !(to->flags & CW_POD_BRIDGED) : cw_has_carried_way(node);
}

static __always_inline __u32 cw_sent_kind(const struct cw_node *node)
{
	return node->way == CW_WAY_NATIVE ? CW_TRAFFIC_FROM_POD_NATIVE : CW_TRAFFIC_FROM_POD_TUNNEL;
}

/** A packet that the pod may send, past the stack or to it. */
static __always_inline int cw_forward(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4, const struct cw_pod *from,
				      const struct cw_config *config)
{
	struct cw_pod *to = cw_pod_to(flow, is_ipv4);
	struct cw_node *node = NULL;
	__u32 bytes = skb->len;
	bool may;
	int result;

	if (to) {
		may = flow->hops > 1 && cw_fits(flow, to->mtu);
	} else {
		node = is_ipv4 ? cw_node4(flow->dst4) : cw_node6(&flow->dst6);
		may = node && !cw_is_draining(node) && flow->hops > 1 && cw_fits(flow, node->mtu);
	}
	// only connections between pods have a way past the stack
	if (cw_has_way(from, to, node) && cw_is_carried(skb, flow, is_ipv4, may, config)) {
		if (to) {
			if (cw_hop(skb, ETH_HLEN, is_ipv4)) {
				cw_count(from->slot, CW_TRAFFIC_FROM_POD_LOCAL, bytes);
				cw_count(to->slot, CW_TRAFFIC_TO_POD_LOCAL, bytes);
				return cw_deliver(skb, to, cw_ether_type(is_ipv4), config);
			}
		} else if (node) {
			result = cw_send(skb, flow, is_ipv4, node, config);
			if (result != CW_STACK) {
				if (result < CW_DROPPED)
					cw_count(from->slot, cw_sent_kind(node), bytes);
				return result;
			}
			cw_give_back(skb, flow, is_ipv4, config);
		}
	}
	if (cw_is_denied_from_pod(skb, flow, is_ipv4, from, to, node))
		return CW_DROP(POLICY);
	cw_count(from->slot, CW_TRAFFIC_FROM_POD_STACK, bytes);
	if (!is_ipv4 && cw_is_link_local(&flow->dst6))
		return CW_STACK;
	return cw_to_stack(skb, from->flags, to, config);
}

static __always_inline int cw_ipv4_from_pod(struct __sk_buff *skb, const struct cw_config *config)
{
	struct cw_flow flow = {};
	struct cw_pod *from;
	struct ethhdr *eth;

	if (!cw_read_ipv4(skb, &flow, ETH_HLEN))
		return CW_DROP(MALFORMED);
	from = cw_pod4(flow.src4);
	if (!from || from->device != skb->ifindex)
		return cw_foreign_source(skb);
	eth = cw_data(skb);
	if ((void *)(eth + 1) > cw_end(skb))
		return CW_DROP(MALFORMED);
	if (!cw_same_mac(eth->h_source, from->mac))
		return CW_DROP(SOURCE_MAC);
	if (cw_is_to_tunnel_port(&flow, config) && cw_owner_of4(flow.dst4))
		return CW_DROP(TUNNEL_FROM_POD);
	if (eth->h_dest[0] & 1)
		return cw_bounded(from->slot);
	return cw_forward(skb, &flow, true, from, config);
}

/** The protocol behind extension headers; that of neighbour discovery when it cannot be found, and may be just that. */
static __always_inline __u8 cw_last_protocol(struct __sk_buff *skb, __u8 next)
{
	__u32 offset = ETH_HLEN + sizeof(struct ipv6hdr);

	for (int i = 0; i < CW_MOST_EXTENSIONS; i++) {
		__u8 header[2];

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_AH)
			return next;
		if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
			return IPPROTO_ICMPV6;
		offset += next == IPPROTO_FRAGMENT ? 8 : next == IPPROTO_AH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
		next = header[0];
	}
	return IPPROTO_ICMPV6;
}

/** The type of the ICMPv6 message behind extension headers is not looked at: neighbour discovery has none (RFC 6980). */
static __always_inline bool cw_hides_discovery(struct __sk_buff *skb, __u8 next, __u8 hops)
{
	// discovery is only taken with 255 hops left: nobody has forwarded it (RFC 4861 section 7.1)
	return next != IPPROTO_ICMPV6 && hops == 255 && cw_last_protocol(skb, next) == IPPROTO_ICMPV6;
}

static __always_inline int cw_ipv6_from_pod(struct __sk_buff *skb, struct cw_config *config)
{
	struct cw_flow flow = {};
	struct cw_pod *from;
	struct ethhdr *eth;
	__u8 next;

	if (!cw_read_ipv6(skb, &flow, ETH_HLEN, &next))
		return CW_DROP(MALFORMED);
	from = cw_pod6(&flow.src6);
	eth = cw_data(skb);
	if ((void *)(eth + 1) > cw_end(skb))
		return CW_DROP(MALFORMED);
	if (!cw_is_read(&flow) || !from || from->device != skb->ifindex || eth->h_dest[0] & 1) {
		// what is not a connection of one of the pod's addresses
		struct cw_port *port = cw_port_of(skb->ifindex);
		bool is_multicast = eth->h_dest[0] & 1;
		int result;

		if (!port)
			return CW_STACK;
		if (!cw_same_mac(eth->h_source, port->mac))
			return CW_DROP(SOURCE_MAC);
		if (!cw_may_speak_as(&flow.src6, skb->ifindex, config) && !(is_multicast && cw_is_unspecified(&flow.src6)))
			return CW_DROP(SOURCE_ADDRESS);
		if (cw_is_to_tunnel_port(&flow, config) && bpf_map_lookup_elem(&cw_ends, &flow.dst6))
			return CW_DROP(TUNNEL_FROM_POD);
		if (cw_hides_discovery(skb, next, flow.hops))
			return CW_DROP(MALFORMED);
		if (next == IPPROTO_ICMPV6) {
			result = cw_discovery_from_pod(skb, port, config);
			if (result != CW_STACK)
				return result;
		}
		if (is_multicast)
			return cw_bounded(port->slot);
		cw_count(port->slot, CW_TRAFFIC_FROM_POD_STACK, skb->len);
		// between link-local addresses there is no routing, and an answer that the gateway has forwarded counts for nobody
		if (cw_is_link_local(&flow.dst6) || (next == IPPROTO_ICMPV6 && cw_is_advertisement(skb)))
			return CW_STACK;
		return cw_to_stack(skb, port->flags, cw_pod6(&flow.dst6), config);
	}
	if (!cw_same_mac(eth->h_source, from->mac))
		return CW_DROP(SOURCE_MAC);
	if (cw_is_to_tunnel_port(&flow, config) && bpf_map_lookup_elem(&cw_ends, &flow.dst6))
		return CW_DROP(TUNNEL_FROM_POD);
	return cw_forward(skb, &flow, false, from, config);
}

static __always_inline int cw_frame_from_pod(struct __sk_buff *skb, struct cw_config *config)
{
	// the tag of a VLAN device in the pod is beside the frame, not in it
	if (!skb->vlan_present) {
		if (skb->protocol == bpf_htons(ETH_P_IP))
			return cw_ipv4_from_pod(skb, config);
		if (skb->protocol == bpf_htons(ETH_P_IPV6))
			return cw_ipv6_from_pod(skb, config);
		if (skb->protocol == bpf_htons(ETH_P_ARP))
			return cw_arp_from_pod(skb, cw_port_of(skb->ifindex), config);
	}
	return cw_port_of(skb->ifindex) ? CW_DROP(PROTOCOL) : CW_STACK;
}
