/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// What the kernel's connection tracking says of a packet's connection. docs/ebpf.md, "connection carried".
#pragma once

// Of the kernel's types, what is read; libbpf finds the places in the running kernel's own (include/net/netfilter/nf_conntrack_tuple.h).

union nf_inet_addr {
	__u32 all[4];
} __attribute__((preserve_access_index));

union nf_conntrack_man_proto {
	__be16 all;
} __attribute__((preserve_access_index));

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		union nf_inet_addr u3;
		union {
			__be16 all;
		} u;
	} dst;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
} __attribute__((preserve_access_index));

struct nf_conn {
	unsigned long status;
	__u32 timeout;
	struct nf_conntrack_tuple_hash tuplehash[2];
} __attribute__((preserve_access_index));

/** enum ip_conntrack_status of include/uapi/linux/netfilter/nf_conntrack_common.h. */
#define IPS_SEEN_REPLY (1 << 1)
#define IPS_ASSURED (1 << 2)
#define IPS_NAT_MASK (1 << 4 | 1 << 5)
#define IPS_SEQ_ADJUST (1 << 6)
#define IPS_DYING (1 << 9)
#define IPS_HELPER (1 << 13)

/** struct bpf_ct_opts of net/netfilter/nf_conntrack_bpf.c, in its first form, which later kernels take too. */
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple_bytes,
					 struct bpf_ct_opts *opts, __u32 opts_bytes) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *ct, __u32 milliseconds) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

/** How long an entry stays after a FIN (nf_conntrack_tcp_timeout_time_wait) and after a RST (…_close). */
#define CW_CLOSING_S 120
#define CW_RESET_S 10

/** Where the entry is so close to its end that it may be one that CW_CLOSING_S has shortened, it is not prolonged. */
#define CW_PROLONGED_ABOVE_S 130

static __always_inline void cw_keep_alive(struct nf_conn *ct, const struct cw_flow *flow, const struct cw_config *config)
{
	__u32 timeout_s, left;

	if (flow->protocol == IPPROTO_TCP) {
		timeout_s = config->tcp_timeout_s;
		if (flow->tcp_flags & (CW_TCP_FIN | CW_TCP_RST)) {
			bpf_ct_change_timeout(ct, (flow->tcp_flags & CW_TCP_RST ? CW_RESET_S : CW_CLOSING_S) * 1000);
			return;
		}
	} else {
		timeout_s = config->udp_timeout_s;
	}
	if (config->jiffies_hz == 0)
		return;
	// both count jiffies modulo 2^32
	left = ct->timeout - (__u32)bpf_jiffies64();
	if (left >= timeout_s * config->jiffies_hz / 2)
		return;
	if (flow->protocol == IPPROTO_TCP && left <= CW_PROLONGED_ABOVE_S * config->jiffies_hz)
		return;
	bpf_ct_change_timeout(ct, timeout_s * 1000);
}

static __always_inline bool cw_same_addr(const union nf_inet_addr *a, const struct cw_addr6 *b)
{
	const __u32 *words = (const __u32 *)b;

	return a->all[0] == words[0] && a->all[1] == words[1] && a->all[2] == words[2] && a->all[3] == words[3];
}

/**
 * Whether the answers to the packet are expected exactly from where it goes, and to where it comes from. The flags alone do not say so:
 * IPVS translates without setting them.
 */
static __always_inline bool cw_is_answered_by(const struct nf_conntrack_tuple *answer, const struct cw_flow *flow, bool is_ipv4)
{
	if (answer->src.u.all != flow->dport || answer->dst.u.all != flow->sport)
		return false;
	if (is_ipv4)
		return answer->src.u3.all[0] == flow->dst4 && answer->dst.u3.all[0] == flow->src4;
	return cw_same_addr(&answer->src.u3, &flow->dst6) && cw_same_addr(&answer->dst.u3, &flow->src6);
}

/** The entry of a TCP or UDP packet, to be released; NULL: there is none. */
static __always_inline struct nf_conn *cw_lookup_connection(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4,
							    struct bpf_ct_opts *opts)
{
	struct bpf_sock_tuple tuple;

	opts->l4proto = flow->protocol;
	if (is_ipv4) {
		tuple.ipv4.saddr = flow->src4;
		tuple.ipv4.daddr = flow->dst4;
		tuple.ipv4.sport = flow->sport;
		tuple.ipv4.dport = flow->dport;
		return bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), opts, sizeof(*opts));
	}
	__builtin_memcpy(tuple.ipv6.saddr, &flow->src6, 16);
	__builtin_memcpy(tuple.ipv6.daddr, &flow->dst6, 16);
	tuple.ipv6.sport = flow->sport;
	tuple.ipv6.dport = flow->dport;
	return bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv6), opts, sizeof(*opts));
}

/**
 * Whether a program may carry the packet past the stack: both directions of its connection are open and translated in neither. `may` is
 * false when the packet cannot be carried for another reason; then, or when the programs are about to be removed, the entry of a TCP
 * connection ends, so that the stack takes the connection up anew instead of finding the packet outside of its old window.
 */
static __always_inline bool cw_is_carried(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4, bool may,
					  const struct cw_config *config)
{
	struct bpf_ct_opts opts = { .netns_id = BPF_F_CURRENT_NETNS };
	struct nf_conn *ct;
	unsigned long status, needed;
	bool is_open;

	if (flow->protocol == 0 || flow->tcp_flags & CW_TCP_SYN)
		return false;
	may = may && !(config->flags & CW_FLAG_DRAINING);
	if (!may && flow->protocol != IPPROTO_TCP)
		return false;
	ct = cw_lookup_connection(skb, flow, is_ipv4, &opts);
	if (!ct)
		return false;
	status = ct->status;
	needed = flow->protocol == IPPROTO_TCP ? IPS_SEEN_REPLY | IPS_ASSURED : IPS_SEEN_REPLY;
	is_open = (status & needed) == needed && !(status & (IPS_NAT_MASK | IPS_SEQ_ADJUST | IPS_DYING | IPS_HELPER));
	// the packet is of one direction; the other one's entry says what an answer looks like
	if (is_open)
		is_open = opts.dir ? cw_is_answered_by(&ct->tuplehash[0].tuple, flow, is_ipv4)
				   : cw_is_answered_by(&ct->tuplehash[1].tuple, flow, is_ipv4);
	if (is_open && may)
		cw_keep_alive(ct, flow, config);
	else if (is_open)
		bpf_ct_change_timeout(ct, 0);
	bpf_ct_release(ct);
	return is_open && may;
}

/** For a packet that was to be carried and cannot be after all: as cw_is_carried, when it may not. */
static __noinline int cw_give_back(struct __sk_buff *skb, const struct cw_flow *flow, bool is_ipv4,
				  const struct cw_config *config)
{
	cw_is_carried(skb, flow, is_ipv4, false, config);
	return 0;
}
