/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// Drops early what a network policy denies for certain. It admits nothing: what is not dropped here goes to the stack, whose rules have the
// last word (docs/policy.md, "eBPF").
#pragma once

/** The classes of a pod by the slot of its counters; 0: no policy is known of it. */
static __always_inline __u32 cw_egress_class(__u32 slot)
{
	struct cw_policed_pod *policed = bpf_map_lookup_elem(&cw_policed, &slot);

	return policed ? policed->egress : 0;
}

static __always_inline __u32 cw_ingress_class(__u32 slot)
{
	struct cw_policed_pod *policed = bpf_map_lookup_elem(&cw_policed, &slot);

	return policed ? policed->ingress : 0;
}

/**
 * Whether the packet could begin a connection, as far as it shows itself. In the middle of a TCP connection, and of an association of SCTP,
 * which connection tracking cannot be asked about from here, the stack alone knows who began it.
 */
static __always_inline bool cw_may_begin(const struct cw_flow *flow)
{
	if (flow->protocol == IPPROTO_TCP)
		return (flow->tcp_flags & (CW_TCP_SYN | CW_TCP_ACK | CW_TCP_RST | CW_TCP_FIN)) == CW_TCP_SYN;
	return flow->protocol == IPPROTO_UDP || flow->is_echo;
}

/** Which kind of peer an address is; an address that is in no set has no entry. */
static __always_inline __u32 cw_peer_kind(const struct cw_flow *flow, bool is_ipv4, bool is_source)
{
	struct cw_peer *peer;

	if (is_ipv4) {
		struct cw_prefix4 key = { .length = 32 };

		__builtin_memcpy(key.addr, is_source ? &flow->src4 : &flow->dst4, 4);
		peer = bpf_map_lookup_elem(&cw_peers4, &key);
	} else {
		struct cw_prefix6 key = { .length = 128 };

		__builtin_memcpy(key.addr, is_source ? &flow->src6 : &flow->dst6, 16);
		peer = bpf_map_lookup_elem(&cw_peers6, &key);
	}
	return peer ? peer->kind : 0;
}

/** What the class says. A kind of peer without entries is to the class as one that is in no set. NULL: nothing. */
static __always_inline struct cw_policy_verdict *cw_verdict_of(const struct cw_flow *flow, __u32 class, __u32 kind)
{
	struct cw_verdict_key key = {
		.length = 96,
		.class = class,
		.kind = kind,
		.protocol = flow->is_echo ? IPPROTO_ICMP : flow->protocol,
		.port = flow->dport,
	};
	struct cw_policy_verdict *verdict = bpf_map_lookup_elem(&cw_verdicts, &key);

	if (verdict || kind == 0)
		return verdict;
	key.kind = 0;
	return bpf_map_lookup_elem(&cw_verdicts, &key);
}

/** Whether connection tracking knows the packet as an answer, or as one of a connection that was answered: then it was admitted before. */
static __always_inline bool cw_was_admitted(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4)
{
	struct bpf_ct_opts opts = { .netns_id = BPF_F_CURRENT_NETNS };
	struct nf_conn *ct;
	bool was_admitted;

	if (flow->is_echo)
		return false;
	ct = cw_lookup_connection(skb, flow, is_ipv4, &opts);
	if (!ct)
		return false;
	was_admitted = opts.dir != 0 || ct->status & IPS_SEEN_REPLY;
	bpf_ct_release(ct);
	return was_admitted;
}

static __always_inline void cw_count_denied(struct __sk_buff *skb, __u32 rule)
{
	struct cw_denied_key key = { .device = skb->ifindex, .rule = rule };
	struct cw_count *count = bpf_map_lookup_elem(&cw_denied, &key);

	if (count) {
		count->packets++;
		count->bytes += skb->len;
	} else {
		struct cw_count first = { .packets = 1, .bytes = skb->len };

		bpf_map_update_elem(&cw_denied, &key, &first, BPF_NOEXIST);
	}
}

/**
 * Whether the class denies the packet, which is IPv4 or IPv6, and whose other end is its source or its destination. Asked only of packets
 * that no program carries. What has denied it is counted and noted then.
 */
static __noinline bool cw_denies(struct __sk_buff *skb, const struct cw_flow *flow, __u32 class, bool is_ipv4, bool is_source)
{
	struct cw_policy_verdict *verdict = cw_verdict_of(flow, class, cw_peer_kind(flow, is_ipv4, is_source));
	__u32 rule;

	if (!verdict || verdict->verdict != CW_POLICY_DENIED)
		return false;
	rule = verdict->rule;
	if (cw_was_admitted(skb, flow, is_ipv4))
		return false;
	cw_count_denied(skb, rule);
	skb->cb[CW_RULE_CELL] = rule;
	skb->cb[CW_INGRESS_CELL] = is_source;
	return true;
}

/** Whether the sender's policies deny what a pod sends to `to`, a pod of this node, or to one of `node`; or those of `to` do. */
static __always_inline bool cw_is_denied_from_pod(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4,
						  const struct cw_pod *from, const struct cw_pod *to,
						  const struct cw_node *node)
{
	__u32 class;

	if (!cw_may_begin(flow))
		return false;
	// what goes to a Service or to the node itself is no pod's yet, and what goes to the pod itself is its own affair
	if (to ? to->slot == from->slot : !cw_has_carried_way(node))
		return false;
	class = cw_egress_class(from->slot);
	if (class && cw_denies(skb, flow, class, is_ipv4, false))
		return true;
	class = to ? cw_ingress_class(to->slot) : 0;
	return class && cw_denies(skb, flow, class, is_ipv4, true);
}

/** Whether the policies of a pod of this node deny what comes to it from another node. */
static __always_inline bool cw_is_denied_to_pod(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4,
						const struct cw_pod *pod)
{
	__u32 class;

	if (!cw_may_begin(flow))
		return false;
	class = cw_ingress_class(pod->slot);
	return class && cw_denies(skb, flow, class, is_ipv4, true);
}
