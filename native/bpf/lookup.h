/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// What the maps say: of this node, its pods and their ports, and of other nodes.
#pragma once

static __always_inline struct cw_config *cw_the_config(void)
{
	__u32 index = 0;

	return bpf_map_lookup_elem(&cw_config, &index);
}

static __always_inline struct cw_port *cw_port_of(__u32 device)
{
	return bpf_map_lookup_elem(&cw_ports, &device);
}

static __always_inline struct cw_pod *cw_pod4(__be32 addr)
{
	struct cw_addr4 key;

	__builtin_memcpy(&key, &addr, 4);
	return bpf_map_lookup_elem(&cw_pods4, &key);
}

static __always_inline struct cw_pod *cw_pod6(const struct cw_addr6 *addr)
{
	return bpf_map_lookup_elem(&cw_pods6, addr);
}

static __always_inline struct cw_node *cw_node4(__be32 addr)
{
	struct cw_prefix4 key = { .length = 32 };

	__builtin_memcpy(key.addr, &addr, 4);
	return bpf_map_lookup_elem(&cw_nodes4, &key);
}

static __always_inline struct cw_node *cw_node6(const struct cw_addr6 *addr)
{
	struct cw_prefix6 key = { .length = 128 };

	__builtin_memcpy(key.addr, addr, 16);
	return bpf_map_lookup_elem(&cw_nodes6, &key);
}

/** The pod of this node that the packet goes to. */
static __always_inline struct cw_pod *cw_pod_to(const struct cw_flow *flow, bool is_ipv4)
{
	return is_ipv4 ? cw_pod4(flow->dst4) : cw_pod6(&flow->dst6);
}

/** The node that owns the packet's source. */
static __always_inline struct cw_node *cw_node_from(const struct cw_flow *flow, bool is_ipv4)
{
	return is_ipv4 ? cw_node4(flow->src4) : cw_node6(&flow->src6);
}

static __always_inline bool cw_fits(const struct cw_flow *flow, __u16 mtu)
{
	return mtu == 0 || flow->length <= mtu;
}

static __always_inline bool cw_is_to_tunnel_port(const struct cw_flow *flow, const struct cw_config *config)
{
	return flow->protocol == IPPROTO_UDP && flow->dport == config->vxlan_port;
}

/** Which node has the address as an end of the tunnel; NULL: none. */
static __always_inline struct cw_owner *cw_owner_of4(__be32 addr)
{
	struct cw_addr6 end = {};

	end.addr[10] = end.addr[11] = 0xff;
	__builtin_memcpy(&end.addr[12], &addr, 4);
	return bpf_map_lookup_elem(&cw_ends, &end);
}

/** Whether programs carry what goes to a node and what comes from it: the stack has to see both directions of a connection or neither. */
static __always_inline bool cw_has_carried_way(const struct cw_node *node)
{
	return node && node->way != CW_WAY_NONE && node->way != CW_WAY_LOCAL;
}

/** Whether what goes to the node and comes from it is the stack's from now on, after programs have carried it. */
static __always_inline bool cw_is_draining(const struct cw_node *node)
{
	return node->flags & CW_NODE_DRAINING;
}
