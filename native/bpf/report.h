/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// What the programs tell: counters of each pod, drops with their reason, and events of watched packets.
#pragma once

/** A program's inner functions return a TC_ACT_…, or this plus the reason of a drop. */
#define CW_DROPPED 0x100
#define CW_DROP(reason) (CW_DROPPED + CW_DROP_##reason)

/** The words of the packet's control block in which a drop by a policy leaves what has denied it, and whether the receiver's policies did. */
#define CW_RULE_CELL 0
#define CW_INGRESS_CELL 1

/** Of a drop; 0: it is none. */
static __always_inline __u32 cw_reason_of(int result)
{
	return result > CW_DROPPED ? result - CW_DROPPED : 0;
}

/** On to the next program on this hook, and then to the stack. */
#define CW_STACK TC_ACT_UNSPEC

static __always_inline void cw_count(__u32 slot, __u32 kind, __u32 bytes)
{
	__u32 index = slot * CW_LIMIT_TRAFFIC_KINDS + kind;
	struct cw_count *count = bpf_map_lookup_elem(&cw_traffic, &index);

	if (!count)
		return;
	count->packets++;
	count->bytes += bytes;
}

static __noinline int cw_count_drop(struct __sk_buff *skb, __u32 hook, __u32 reason)
{
	struct cw_drop_key key = { .device = skb->ifindex, .hook = hook, .reason = reason };
	struct cw_count *count = bpf_map_lookup_elem(&cw_drops, &key);

	if (count) {
		count->packets++;
		count->bytes += skb->len;
	} else {
		struct cw_count first = { .packets = 1, .bytes = skb->len };

		bpf_map_update_elem(&cw_drops, &key, &first, BPF_NOEXIST);
	}
	return 0;
}

static __always_inline bool cw_read_pair(struct __sk_buff *skb, __u32 offset, __be16 protocol, struct cw_pair *pair)
{
	if (protocol == bpf_htons(ETH_P_IP)) {
		__builtin_memset(pair, 0, sizeof(*pair));
		pair->src[10] = pair->src[11] = pair->dst[10] = pair->dst[11] = 0xff;
		return bpf_skb_load_bytes(skb, offset + offsetof(struct iphdr, saddr), &pair->src[12], 4) == 0 &&
		       bpf_skb_load_bytes(skb, offset + offsetof(struct iphdr, daddr), &pair->dst[12], 4) == 0;
	}
	if (protocol != bpf_htons(ETH_P_IPV6))
		return false;
	return bpf_skb_load_bytes(skb, offset + offsetof(struct ipv6hdr, saddr), pair, sizeof(*pair)) == 0;
}

/** Bytes before the inner IP header of a packet in the tunnel over IPv4. */
#define CW_TUNNEL_BYTES (sizeof(struct iphdr) + sizeof(struct udphdr) + 8 + ETH_HLEN)

/** The watch that a packet is of, by its addresses, or by those within the tunnel; 0: none. */
static __noinline int cw_watch_of(struct __sk_buff *skb)
{
	struct cw_pair pair;
	struct cw_watch *watch;
	__be16 inner = 0;

	if (cw_read_pair(skb, ETH_HLEN, skb->protocol, &pair)) {
		watch = bpf_map_lookup_elem(&cw_watched, &pair);
		if (watch)
			return watch->id;
	}
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return 0;
	if (bpf_skb_load_bytes(skb, CW_TUNNEL_BYTES + ETH_HLEN - 2, &inner, sizeof(inner)))
		return 0;
	if (!cw_read_pair(skb, ETH_HLEN + CW_TUNNEL_BYTES, inner, &pair))
		return 0;
	watch = bpf_map_lookup_elem(&cw_watched, &pair);
	return watch ? watch->id : 0;
}

/** Whether another one is within what a processor may do in a second. */
static __always_inline bool cw_within(struct cw_budget *budget, __u64 most)
{
	__u64 second = bpf_ktime_get_ns() >> 30;

	if (budget->second != second) {
		budget->second = second;
		budget->packets = 0;
	}
	budget->packets++;
	return budget->packets <= most;
}

static __always_inline void cw_fill(struct __sk_buff *skb, struct cw_event *event, __u32 watch, __u32 hook, int result)
{
	__u32 reason = cw_reason_of(result);
	__u32 length = skb->len;

	event->time_ns = bpf_ktime_get_ns();
	event->watch = watch;
	event->device = skb->ifindex;
	event->length = length;
	event->hook = hook;
	event->verdict = reason			   ? CW_VERDICT_DROPPED
			 : result == TC_ACT_REDIRECT ? CW_VERDICT_CARRIED
						     : CW_VERDICT_STACK;
	event->reason = reason;
	event->is_ingress = reason == CW_DROP_POLICY ? skb->cb[CW_INGRESS_CELL] : 0;
	event->rule = reason == CW_DROP_POLICY ? skb->cb[CW_RULE_CELL] : 0;
	event->captured = 0;
	if (length > CW_LIMIT_CAPTURED)
		length = CW_LIMIT_CAPTURED;
	if (length >= ETH_HLEN && bpf_skb_load_bytes(skb, 0, event->bytes, length) == 0)
		event->captured = length;
}

/** `result` as cw_finish gets it. */
static __noinline int cw_emit(struct __sk_buff *skb, __u32 watch, __u32 hook, int result)
{
	struct cw_event *event = bpf_ringbuf_reserve(&cw_events, sizeof(*event), 0);

	if (!event)
		return 0;
	cw_fill(skb, event, watch, hook, result);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/** Tells the agent of a packet that a policy denied: of some, so that one rule's flood hides no other, and somebody can read them. */
static __noinline int cw_tell_denial(struct __sk_buff *skb, __u32 hook)
{
	__u32 index = skb->cb[CW_RULE_CELL] % CW_LIMIT_DENIAL_BUDGETS;
	struct cw_budget *of_rule = bpf_map_lookup_elem(&cw_told, &index);
	struct cw_budget *of_all;
	struct cw_event *event;

	if (!of_rule || !cw_within(of_rule, CW_LIMIT_DENIALS_PER_SECOND))
		return 0;
	index = CW_LIMIT_DENIAL_BUDGETS;
	of_all = bpf_map_lookup_elem(&cw_told, &index);
	if (!of_all || !cw_within(of_all, CW_LIMIT_ALL_DENIALS_PER_SECOND))
		return 0;
	event = bpf_ringbuf_reserve(&cw_denials, sizeof(*event), 0);
	if (!event)
		return 0;
	cw_fill(skb, event, 0, hook, CW_DROP(POLICY));
	bpf_ringbuf_submit(event, 0);
	return 0;
}

static __always_inline int cw_watched_by(struct __sk_buff *skb, const struct cw_config *config)
{
	return config->flags & CW_FLAG_WATCHING ? cw_watch_of(skb) : 0;
}

/** Turns an inner function's result into what the kernel is told, and tells of it. */
static __always_inline int cw_finish(struct __sk_buff *skb, __u32 hook, int watch, int result)
{
	__u32 reason = cw_reason_of(result);

	if (reason)
		cw_count_drop(skb, hook, reason);
	if (reason == CW_DROP_POLICY)
		cw_tell_denial(skb, hook);
	if (watch)
		cw_emit(skb, watch, hook, result);
	return reason ? TC_ACT_SHOT : result;
}
