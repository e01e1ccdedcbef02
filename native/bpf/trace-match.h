/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// Whether a packet belongs to a trace: by what is inside of it, also in the tunnel and in the quotation of an ICMP error. Addresses and
// ports say nothing, since they change on the way; those of packets that were recognised are learned, for what tells no more than them.
#pragma once

#define CW_ICMP_ECHO_REPLY 0
#define CW_ICMP_ECHO 8
#define CW_ICMP6_ECHO 128
#define CW_ICMP6_ECHO_REPLY 129
#define CW_LAST_ICMP6_ERROR 127
#define CW_ICMP_BYTES 8
#define CW_VXLAN_HAS_VNI 0x08
#define CW_VXLAN_BYTES 8
#define CW_TCP_SYN 0x02
#define CW_TCP_RST 0x04
#define CW_TCP_ACK 0x10
/** The underlay's packet, that in the tunnel, and of both what an ICMP error quotes. */
#define CW_LAYERS 4
#define CW_EXTENSION_HEADERS 6

/** A search in a packet: at which IP header it is, and what it has found. */
struct cw_search {
	/** The packet's memory from its first IP header on, and how much of it lies in one piece. */
	__u64 start;
	__u32 bytes;
	/** Where the IP header is that is looked at, and the EtherType that it has. */
	__u32 offset;
	__be16 type;
	bool is_quoted;
	bool is_found;
	__u8 role;
	struct cw_probe_key key;
};

struct cw_ip {
	struct cw_trace_tuple tuple;
	/** Where the transport header begins. */
	__u32 transport;
	__u8 next;
};

struct cw_echo {
	__u8 type;
	__u8 code;
	__be16 check;
	__be16 id;
	__be16 seq;
	__u8 cookie[8];
};

struct cw_segment {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
};

struct cw_datagram {
	__be16 source;
	__be16 dest;
	__be16 length;
	__be16 check;
	__u8 cookie[8];
};

union cw_transport {
	struct cw_segment tcp;
	struct cw_datagram udp;
};

static __always_inline bool cw_load(const struct cw_search *search, __u32 offset, void *to, __u32 size)
{
	return offset + size <= search->bytes && bpf_probe_read_kernel(to, size, (void *)search->start + offset) == 0;
}

static __always_inline bool cw_load_ipv4(const struct cw_search *search, struct cw_ip *ip)
{
	struct iphdr header;

	if (!cw_load(search, search->offset, &header, sizeof(header)))
		return false;
	// in a later fragment there is no transport header
	if (header.version != 4 || header.ihl < 5 || header.frag_off & bpf_htons(0x1fff))
		return false;
	ip->transport = search->offset + header.ihl * 4;
	ip->next = header.protocol;
	*(__be32 *)ip->tuple.src = header.saddr;
	*(__be32 *)ip->tuple.dst = header.daddr;
	return true;
}

static __always_inline bool cw_skip_extensions(const struct cw_search *search, struct cw_ip *ip)
{
	struct {
		__u8 next;
		__u8 length;
		__be16 fragment;
	} header;

	for (int at = 0; at < CW_EXTENSION_HEADERS; at++) {
		bool is_fragment = ip->next == IPPROTO_FRAGMENT;

		if (!is_fragment && ip->next != IPPROTO_HOPOPTS && ip->next != IPPROTO_ROUTING && ip->next != IPPROTO_DSTOPTS)
			return true;
		if (!cw_load(search, ip->transport, &header, sizeof(header)))
			return false;
		if (is_fragment && header.fragment & bpf_htons(0xfff8))
			return false;
		ip->next = header.next;
		ip->transport += is_fragment ? 8 : (header.length + 1) * 8;
	}
	return false;
}

static __always_inline bool cw_load_ipv6(const struct cw_search *search, struct cw_ip *ip)
{
	struct ipv6hdr header;

	if (!cw_load(search, search->offset, &header, sizeof(header)) || header.version != 6)
		return false;
	ip->transport = search->offset + sizeof(header);
	ip->next = header.nexthdr;
	__builtin_memcpy(ip->tuple.src, &header.saddr, 16);
	__builtin_memcpy(ip->tuple.dst, &header.daddr, 16);
	return cw_skip_extensions(search, ip);
}

/** Whether a probe has this token. */
static __always_inline bool cw_is_probe(struct cw_search *search, const void *token)
{
	// Linux 6.1 takes no key that is in memory of the caller's
	struct cw_probe_key key = { .protocol = search->key.protocol };

	__builtin_memcpy(key.token, token, sizeof(key.token));
	search->key = key;
	search->is_found = bpf_map_lookup_elem(&cw_probes, &key);
	return search->is_found;
}

/** Whether something was learned of packets between these ends, and of a probe that is still followed. */
static __always_inline bool cw_recall(struct cw_search *search, const struct cw_trace_tuple *tuple)
{
	struct cw_learned *learned = bpf_map_lookup_elem(&cw_learned_tuples, tuple);

	if (!learned)
		return false;
	search->role = learned->role;
	return cw_is_probe(search, learned->token);
}

static __always_inline void cw_learn(const struct cw_search *search, const struct cw_trace_tuple *tuple, __u8 role)
{
	struct cw_learned learned = { .role = role };

	__builtin_memcpy(learned.token, search->key.token, sizeof(learned.token));
	bpf_map_update_elem(&cw_learned_tuples, tuple, &learned, BPF_ANY);
}

static __always_inline void cw_look_at_echo(struct cw_search *search, struct cw_ip *ip, bool is_answer)
{
	struct cw_echo echo = {};
	bool has_cookie = cw_load(search, ip->transport, &echo, sizeof(echo));

	// some quote no more than the echo's header
	if (!has_cookie && !cw_load(search, ip->transport, &echo, CW_ICMP_BYTES))
		return;
	ip->tuple.protocol = IPPROTO_ICMP;
	ip->tuple.sport = echo.id;
	ip->tuple.dport = echo.seq;
	search->key.protocol = IPPROTO_ICMP;
	if (!has_cookie) {
		cw_recall(search, &ip->tuple);
		return;
	}
	if (!cw_is_probe(search, echo.cookie))
		return;
	search->role = is_answer ? CW_ROLE_ANSWER : CW_ROLE_PROBE;
	if (!search->is_quoted)
		cw_learn(search, &ip->tuple, search->role);
}

static __always_inline void cw_look_at_segment(struct cw_search *search, const struct cw_ip *ip)
{
	struct cw_segment tcp = {};
	bool is_whole = cw_load(search, ip->transport, &tcp, sizeof(tcp));
	__u64 token;

	if (!is_whole && (!search->is_quoted || !cw_load(search, ip->transport, &tcp, offsetof(struct cw_segment, ack))))
		return;
	search->key.protocol = IPPROTO_TCP;
	if (is_whole && tcp.flags & CW_TCP_ACK) {
		token = bpf_ntohl(tcp.ack) - 1;
		search->role = CW_ROLE_ANSWER;
		if (tcp.flags & (CW_TCP_SYN | CW_TCP_RST))
			cw_is_probe(search, &token);
		return;
	}
	token = bpf_ntohl(tcp.seq);
	search->role = CW_ROLE_PROBE;
	if (!is_whole || tcp.flags & CW_TCP_SYN)
		cw_is_probe(search, &token);
}

/** The bit of a pair of ports, the same for both ways. */
static __always_inline __u64 cw_bit_of(__be16 source, __be16 dest)
{
	__u16 both = source ^ dest;

	return 1ULL << ((both ^ both >> 6 ^ both >> 12) & 63);
}

static __always_inline void cw_learn_ports(const struct cw_datagram *udp)
{
	__u32 index = 0;
	struct cw_ports *learned = bpf_map_lookup_elem(&cw_learned_ports, &index);

	if (learned)
		__sync_fetch_and_or(&learned->mask, cw_bit_of(udp->source, udp->dest));
}

static __always_inline void cw_reverse(struct cw_trace_tuple *tuple)
{
	struct cw_trace_tuple was = *tuple;

	__builtin_memcpy(tuple->src, was.dst, sizeof(was.dst));
	__builtin_memcpy(tuple->dst, was.src, sizeof(was.src));
	tuple->sport = was.dport;
	tuple->dport = was.sport;
}

/** Whether another IP packet is in it: then the search is at that. */
static __always_inline bool cw_look_at_datagram(struct cw_search *search, struct cw_ip *ip, const struct cw_trace_config *config)
{
	struct cw_datagram udp = {};
	bool has_cookie = cw_load(search, ip->transport, &udp, sizeof(udp)), is_cut;
	__u32 frame = ip->transport + sizeof(struct udphdr) + CW_VXLAN_BYTES;

	if (!has_cookie && !cw_load(search, ip->transport, &udp, sizeof(struct udphdr)))
		return false;
	// VXLAN has its header where the cookie of others is
	if (has_cookie && udp.dest == config->vxlan_port && udp.cookie[0] & CW_VXLAN_HAS_VNI) {
		search->offset = frame + ETH_HLEN;
		return cw_load(search, frame + offsetof(struct ethhdr, h_proto), &search->type, sizeof(search->type));
	}
	if (!config->udp)
		return false;
	// it has one, but not in what is to be read here
	is_cut = !has_cookie && bpf_ntohs(udp.length) >= sizeof(udp);
	ip->tuple.protocol = IPPROTO_UDP;
	ip->tuple.sport = udp.source;
	ip->tuple.dport = udp.dest;
	search->key.protocol = IPPROTO_UDP;
	// a process may answer with any bytes, also with the same: the probe, which comes first, has taught which way is which
	if (cw_recall(search, &ip->tuple) && (search->role == CW_ROLE_ANSWER || is_cut))
		return false;
	search->role = CW_ROLE_PROBE;
	search->is_found = false;
	if (!has_cookie || !cw_is_probe(search, udp.cookie) || search->is_quoted)
		return false;
	cw_learn_ports(&udp);
	cw_learn(search, &ip->tuple, CW_ROLE_PROBE);
	cw_reverse(&ip->tuple);
	cw_learn(search, &ip->tuple, CW_ROLE_ANSWER);
	return false;
}

/** The same. */
static __always_inline bool cw_look_at_icmp(struct cw_search *search, struct cw_ip *ip, const struct cw_trace_config *config)
{
	bool is_ipv4 = ip->next == IPPROTO_ICMP;
	__u8 type = 0;

	if (!cw_load(search, ip->transport, &type, sizeof(type)))
		return false;
	if (type == (is_ipv4 ? CW_ICMP_ECHO : CW_ICMP6_ECHO) || type == (is_ipv4 ? CW_ICMP_ECHO_REPLY : CW_ICMP6_ECHO_REPLY)) {
		if (config->icmp)
			cw_look_at_echo(search, ip, type == (is_ipv4 ? CW_ICMP_ECHO_REPLY : CW_ICMP6_ECHO_REPLY));
		return false;
	}
	// destination unreachable, source quench, redirect, time exceeded, parameter problem
	if (is_ipv4 ? type != 3 && type != 4 && type != 5 && type != 11 && type != 12 : type > CW_LAST_ICMP6_ERROR)
		return false;
	if (search->is_quoted)
		return false;
	search->is_quoted = true;
	search->offset = ip->transport + CW_ICMP_BYTES;
	return true;
}

/**
 * Looks at one IP packet. Not 0: another one in it is to be looked at, and the search is there. A function of its own for the verifier,
 * which looks at it once and not once more for each way by which it may be reached.
 */
__noinline int cw_look(struct cw_search *search)
{
	const struct cw_trace_config *config;
	struct cw_ip ip = {};
	__u32 index = 0;

	if (!search)
		return 0;
	config = bpf_map_lookup_elem(&cw_trace_settings, &index);
	if (!config)
		return 0;
	if (search->type == bpf_htons(ETH_P_IP)) {
		if (!cw_load_ipv4(search, &ip))
			return 0;
	} else if (search->type != bpf_htons(ETH_P_IPV6) || !cw_load_ipv6(search, &ip)) {
		return 0;
	}
	if (ip.next == IPPROTO_UDP)
		return cw_look_at_datagram(search, &ip, config);
	if (ip.next == IPPROTO_ICMP || ip.next == IPPROTO_ICMPV6)
		return cw_look_at_icmp(search, &ip, config);
	if (ip.next == IPPROTO_TCP && config->tcp)
		cw_look_at_segment(search, &ip);
	return 0;
}

static __always_inline bool cw_may_be_datagram(const struct cw_trace_config *config, const struct cw_datagram *udp)
{
	struct cw_ports *learned;
	__u32 index = 0;

	if (udp->dest == config->vxlan_port)
		return true;
	if (!config->udp)
		return false;
	if (config->cookies >> (udp->cookie[0] & 63) & 1)
		return true;
	learned = bpf_map_lookup_elem(&cw_learned_ports, &index);
	return learned && learned->mask & cw_bit_of(udp->source, udp->dest);
}

/** Whether a packet of this protocol may be of a trace. */
static __always_inline bool cw_may_be(const struct cw_trace_config *config, __u8 protocol, const union cw_transport *transport)
{
	if (protocol == IPPROTO_TCP)
		return config->tcp && transport->tcp.flags & (CW_TCP_SYN | CW_TCP_RST);
	if (protocol == IPPROTO_UDP)
		return cw_may_be_datagram(config, &transport->udp);
	// an error may quote anything, and the headers that are seldom take their time
	return true;
}

/**
 * Whether the packet may be of a trace. Nearly all packets are none, and this is all that they cost: one read of their usual headers, since
 * each read takes as long as all the rest.
 */
static __always_inline bool cw_is_candidate(const struct cw_search *search, const struct cw_trace_config *config)
{
	union {
		struct {
			struct iphdr ip;
			union cw_transport transport;
		} v4;
		struct {
			struct ipv6hdr ip;
			union cw_transport transport;
		} v6;
	} first;

	if (search->type == bpf_htons(ETH_P_IP)) {
		if (!cw_load(search, 0, &first.v4, sizeof(first.v4)) || first.v4.ip.ihl != 5)
			return true;
		return cw_may_be(config, first.v4.ip.protocol, &first.v4.transport);
	}
	if (!cw_load(search, 0, &first.v6, sizeof(first.v6)))
		return true;
	return cw_may_be(config, first.v6.ip.nexthdr, &first.v6.transport);
}

/** Whether the packet is of a trace; the search knows of which one, and what it is there. */
static __always_inline bool cw_find(struct cw_search *search)
{
	for (int depth = 0; depth < CW_LAYERS; depth++)
		if (!cw_look(search))
			break;
	if (search->is_found && search->is_quoted)
		search->role = search->role == CW_ROLE_PROBE ? CW_ROLE_PROBE_ERROR : CW_ROLE_ANSWER_ERROR;
	return search->is_found;
}
