/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// What comes from other nodes: whether it may, and whether it goes to a pod past the stack.
#pragma once

/** A packet to a pod of this node, from `node`, as it comes natively or as the kernel has taken it out of the tunnel. */
static __always_inline int cw_take(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4, const struct cw_pod *pod,
				   const struct cw_node *node, __u32 kind, const struct cw_config *config)
{
	__u32 bytes = skb->len;
	bool may;

	if (!cw_has_carried_way(node))
		return CW_STACK;
	may = !cw_is_draining(node) && flow->hops > 1 && cw_fits(flow, pod->mtu);
	if (!cw_is_carried(skb, flow, is_ipv4, may, config) || !cw_hop(skb, ETH_HLEN, is_ipv4))
		return CW_STACK;
	cw_count(pod->slot, kind, bytes);
	return cw_deliver(skb, pod, cw_ether_type(is_ipv4), config);
}

/** Whether programs may take what comes to the pod. */
static __always_inline bool cw_is_taken(const struct cw_pod *pod)
{
	return pod && !(pod->flags & CW_POD_BRIDGED);
}

static __always_inline bool cw_owns4(__be32 outer, const struct cw_node *node)
{
	struct cw_owner *owner;

	if (node->way == CW_WAY_TUNNEL4 && cw_end4(node->tunnel_dst) == outer)
		return true;
	owner = cw_owner_of4(outer);
	return owner && owner->owner == node->owner;
}

/** A packet in VXLAN over IPv4 that was read already, from the outer source. */
static __always_inline int cw_take_out(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4, __be32 outer_source,
				       __u8 outer_ecn, const struct cw_config *config)
{
	struct cw_pod *pod = cw_pod_to(flow, is_ipv4);
	__u32 bytes = skb->len - CW_TUNNEL_BYTES;
	struct cw_node *node;
	bool may;

	if (!cw_is_taken(pod))
		return CW_STACK;
	node = cw_node_from(flow, is_ipv4);
	if (!cw_has_carried_way(node) || !cw_owns4(outer_source, node))
		return CW_STACK;
	// a queue needs the packet as the kernel takes it out, and so does a mark of congestion that has to be taken over (RFC 6040)
	may = !(pod->flags & CW_POD_LIMITED) && !cw_is_draining(node) && flow->hops > 1 && cw_fits(flow, pod->mtu) &&
	      (outer_ecn == flow->ecn || outer_ecn == 0);
	if (!may || !cw_is_carried(skb, flow, is_ipv4, true, config) || !cw_decapsulate(skb, is_ipv4))
		return CW_STACK;
	// no way back from here: the outer headers are gone
	if (!cw_hop(skb, ETH_HLEN, is_ipv4))
		return CW_DROP(MALFORMED);
	cw_count(pod->slot, CW_TRAFFIC_TO_POD_TUNNEL, bytes);
	return cw_deliver(skb, pod, cw_ether_type(is_ipv4), config);
}

/** VXLAN over IPv4. Only what is certain is taken here; the tunnel device takes the rest, and cw_from_tunnel sees it then. */
static __always_inline int cw_vxlan_from_underlay(struct __sk_buff *skb, __be32 outer_source, __u8 outer_ecn,
						  const struct cw_config *config)
{
	struct cw_flow flow = {};
	struct cw_outer *outer;
	__be16 protocol;
	__u8 next;

	if (!cw_reachable(skb, ETH_HLEN + sizeof(*outer)))
		return CW_STACK;
	outer = cw_data(skb) + ETH_HLEN;
	if ((void *)(outer + 1) > cw_end(skb))
		return CW_STACK;
	if (outer->vxlan.flags != CW_VXLAN_HAS_VNI || outer->vxlan.vni != bpf_htonl(config->vni << 8))
		return CW_STACK;
	protocol = outer->inner.h_proto;
	if (protocol == bpf_htons(ETH_P_IP) && cw_read_ipv4(skb, &flow, ETH_HLEN + CW_TUNNEL_BYTES) && flow.protocol)
		return cw_take_out(skb, &flow, true, outer_source, outer_ecn, config);
	if (protocol == bpf_htons(ETH_P_IPV6) && cw_read_ipv6(skb, &flow, ETH_HLEN + CW_TUNNEL_BYTES, &next) && flow.protocol)
		return cw_take_out(skb, &flow, false, outer_source, outer_ecn, config);
	return CW_STACK;
}

/** A packet to a pod of this node, from `node`: past the stack, to it, or neither, where a policy denies it. */
static __always_inline int cw_to_pod_of_node(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4, const struct cw_pod *pod,
					     const struct cw_node *node, __u32 kind, const struct cw_config *config)
{
	int result = cw_is_taken(pod) ? cw_take(skb, flow, is_ipv4, pod, node, kind, config) : CW_STACK;

	return result == CW_STACK && cw_is_denied_to_pod(skb, flow, is_ipv4, pod) ? CW_DROP(POLICY) : result;
}

/** A packet that came without a tunnel. Most of them are for the node itself, and are not to pay for more than this. */
static __always_inline int cw_take_native(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4, const struct cw_config *config)
{
	struct cw_pod *pod = cw_pod_to(flow, is_ipv4);

	return pod ? cw_to_pod_of_node(skb, flow, is_ipv4, pod, cw_node_from(flow, is_ipv4), CW_TRAFFIC_TO_POD_NATIVE, config) : CW_STACK;
}

static __always_inline int cw_packet_from_underlay(struct __sk_buff *skb, const struct cw_config *config)
{
	struct cw_flow flow = {};
	__u8 next;

	// not for this node, or for many
	if (skb->pkt_type != 0 || skb->vlan_present)
		return CW_STACK;
	if (skb->protocol == bpf_htons(ETH_P_IP) && cw_read_ipv4(skb, &flow, ETH_HLEN) && cw_is_read(&flow)) {
		if (cw_is_to_tunnel_port(&flow, config))
			return cw_vxlan_from_underlay(skb, flow.src4, flow.ecn, config);
		return cw_take_native(skb, &flow, true, config);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6) && cw_read_ipv6(skb, &flow, ETH_HLEN, &next) && cw_is_read(&flow))
		return cw_take_native(skb, &flow, false, config);
	return CW_STACK;
}

/** The address that a packet in the tunnel came from, as a key of cw_ends. */
static __always_inline bool cw_outer_source(struct __sk_buff *skb, struct cw_addr6 *source)
{
	struct bpf_tunnel_key key = {};
	__be32 addr;

	if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) == 0) {
		source->addr[10] = source->addr[11] = 0xff;
		addr = bpf_htonl(key.remote_ipv4);
		__builtin_memcpy(&source->addr[12], &addr, 4);
		return true;
	}
	if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6))
		return false;
	__builtin_memcpy(source, key.remote_ipv6, 16);
	return true;
}

/** Whether the packet claims to be of a node that it did not come from. An address of no node is the stack's to judge. */
static __always_inline bool cw_is_forged(struct __sk_buff *skb, const struct cw_node *node)
{
	struct cw_addr6 source = {};
	struct cw_owner *owner;

	if (!node || !cw_outer_source(skb, &source))
		return false;
	// two nodes may share an address, which has one owner in the map
	if ((node->way == CW_WAY_TUNNEL4 || node->way == CW_WAY_TUNNEL6) && cw_same_bytes16(&source, node->tunnel_dst))
		return false;
	owner = bpf_map_lookup_elem(&cw_ends, &source);
	return !owner || owner->owner != node->owner;
}

/** A packet that the kernel has taken out of the tunnel. */
static __always_inline int cw_take_tunneled(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4,
					    const struct cw_config *config)
{
	struct cw_node *node = cw_node_from(flow, is_ipv4);
	struct cw_pod *pod;

	if (cw_is_forged(skb, node))
		return CW_DROP(TUNNEL_OWNER);
	if (!cw_is_read(flow))
		return CW_STACK;
	pod = cw_pod_to(flow, is_ipv4);
	return pod ? cw_to_pod_of_node(skb, flow, is_ipv4, pod, node, CW_TRAFFIC_TO_POD_TUNNEL, config) : CW_STACK;
}

static __always_inline int cw_packet_from_tunnel(struct __sk_buff *skb, const struct cw_config *config)
{
	struct cw_flow flow = {};
	__u8 next;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return cw_read_ipv4(skb, &flow, ETH_HLEN) ? cw_take_tunneled(skb, &flow, true, config) : CW_DROP(MALFORMED);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return cw_read_ipv6(skb, &flow, ETH_HLEN, &next) ? cw_take_tunneled(skb, &flow, false, config) : CW_DROP(MALFORMED);
	return CW_STACK;
}
