/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// The programs of a trace: they tell where the kernel sees a probe, its answer, and errors about them, in the namespaces of one node. They
// stand at tracepoints, read, and change nothing. docs/trace.md says what is told; maps and structs come from src/wire/bpf/trace.ts.
#include <stddef.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "kernel-types.h"
#include "causeway-trace.h"
#include "trace-match.h"

// the kernel lets only programs under the GPL read its memory
char cw_license[] SEC("license") = "Dual MIT/GPL";

#define CW_MAC_UNSET 0xffff
#define CW_ETHERNET 1
#define CW_LOOPBACK 772
#define CW_AF_PACKET 17
#define CW_PARTIAL 3

/** Where a packet was seen. */
struct cw_moment {
	__u32 place;
	__u32 netns;
	/** Of a drop. */
	__u64 location;
	__u32 reason;
};

// All but the fields of the packet itself is read by BPF_CORE_READ: following pointers is what the verifier takes long for.

/** While a datagram waits for its reader, the field of the device holds something else, which is no address of the kernel's. */
static __always_inline const struct net_device *cw_device_of(const struct sk_buff *skb)
{
	return (__s64)skb->dev_scratch < 0 ? skb->dev : NULL;
}

/** Whether what ends is a copy that a tap had, such as tcpdump(8). */
static __always_inline bool cw_is_of_tap(const struct sk_buff *skb)
{
	return BPF_CORE_READ(skb, sk, __sk_common.skc_family) == CW_AF_PACKET;
}

/** The inode of the namespace that the packet is in; 0: nothing tells. */
static __always_inline __u32 cw_netns_of(const struct sk_buff *skb, const struct net_device *device)
{
	const struct dst_entry *route = (const struct dst_entry *)(skb->_skb_refdst & ~1UL);
	__u32 netns;

	if (device)
		return BPF_CORE_READ(device, nd_net.net, ns.inum);
	netns = BPF_CORE_READ(skb, sk, __sk_common.skc_net.net, ns.inum);
	return netns ?: BPF_CORE_READ(route, dev, nd_net.net, ns.inum);
}

static __always_inline bool cw_is_ours(__u32 netns)
{
	struct cw_netns key = { .inode = netns };

	return bpf_map_lookup_elem(&cw_namespaces, &key);
}

/** Where the bytes that are told begin, from the beginning of the packet's memory: at the Ethernet header, if there is one. */
static __always_inline __u32 cw_start_of(const struct sk_buff *skb, const struct net_device *device, __u32 network)
{
	__u32 mac = skb->mac_header;
	__u16 type = device ? BPF_CORE_READ(device, type) : CW_ETHERNET;

	if (type != CW_ETHERNET && type != CW_LOOPBACK)
		return network;
	return mac != CW_MAC_UNSET && mac + ETH_HLEN <= network && mac + ETH_HLEN + 8 >= network ? mac : network;
}

static __always_inline void cw_fill_drop(struct cw_sighting *sighting, const struct cw_moment *moment)
{
	static const char symbol[] = "%ps";
	enum skb_drop_reason reason = moment->reason;
	struct btf_ptr value = { .ptr = &reason, .type_id = bpf_core_type_id_kernel(enum skb_drop_reason) };

	bpf_snprintf_btf((char *)sighting->reason, sizeof(sighting->reason), &value, sizeof(value), BTF_F_COMPACT | BTF_F_NONAME);
	bpf_snprintf((char *)sighting->location, sizeof(sighting->location), symbol, (__u64 *)&moment->location,
		     sizeof(moment->location));
}

static __always_inline void cw_fill(struct cw_sighting *sighting, const struct sk_buff *skb, __u32 network,
				    const struct cw_moment *moment)
{
	const struct net_device *device = cw_device_of(skb);
	__u32 start = cw_start_of(skb, device, network);
	__u32 captured = skb->tail - start;

	sighting->time_ns = bpf_ktime_get_ns();
	sighting->skb = (__u64)skb;
	sighting->netns = moment->netns;
	sighting->mark = skb->mark;
	sighting->place = moment->place;
	sighting->flags = (start == network ? CW_SEEN_STARTS_AT_NETWORK : 0) |
			  (BPF_CORE_READ_BITFIELD(skb, ip_summed) == CW_PARTIAL ? CW_SEEN_PARTIAL_CHECKSUM : 0);
	sighting->device = device ? BPF_CORE_READ(device, ifindex) : 0;
	if (device)
		BPF_CORE_READ_STR_INTO(&sighting->device_name, device, name);
	sighting->length = skb->len + (__u32)(skb->data - skb->head) - start;
	if (moment->place == CW_PLACE_DROP)
		cw_fill_drop(sighting, moment);
	if (captured > CW_LIMIT_CAPTURED)
		captured = CW_LIMIT_CAPTURED;
	if (bpf_probe_read_kernel(sighting->bytes, captured, skb->head + start) == 0)
		sighting->captured = captured;
}

static __noinline int cw_tell(struct sk_buff *skb, __u32 network, const struct cw_search *found, const struct cw_moment *moment)
{
	struct cw_probe *probe = bpf_map_lookup_elem(&cw_probes, &found->key);
	struct cw_sighting *sighting = NULL;

	if (!probe)
		return 0;
	if (__sync_fetch_and_add(&probe->told, 1) < CW_LIMIT_SIGHTINGS)
		sighting = bpf_ringbuf_reserve(&cw_sightings, sizeof(*sighting), 0);
	if (!sighting) {
		__sync_fetch_and_add(&probe->lost, 1);
		return 0;
	}
	__builtin_memset(sighting, 0, offsetof(struct cw_sighting, bytes));
	sighting->probe = probe->id;
	sighting->role = found->role;
	cw_fill(sighting, skb, network, moment);
	bpf_ringbuf_submit(sighting, 0);
	return 0;
}

/** `network`: where the packet's IP header begins, from the beginning of its memory. */
static __always_inline int cw_see(struct sk_buff *skb, __u32 network, struct cw_moment *moment)
{
	struct cw_search search = { .type = skb->protocol };
	const struct cw_trace_config *config;
	__u32 index = 0;

	// a VLAN's tag that no device has taken off: what comes in is looked at before the kernel does
	if (search.type == bpf_htons(ETH_P_8021Q)) {
		if (moment->place == CW_PLACE_RECEIVE)
			network += 4;
		if (bpf_probe_read_kernel(&search.type, sizeof(search.type), skb->head + network - 2))
			return 0;
	}
	if ((search.type != bpf_htons(ETH_P_IP) && search.type != bpf_htons(ETH_P_IPV6)) || skb->tail < network)
		return 0;
	search.start = (__u64)skb->head + network;
	search.bytes = skb->tail - network;
	config = bpf_map_lookup_elem(&cw_trace_settings, &index);
	if (!config || !cw_is_candidate(&search, config) || !cw_find(&search))
		return 0;
	if (moment->place >= CW_PLACE_DROP && cw_is_of_tap(skb))
		return 0;
	moment->netns = cw_netns_of(skb, cw_device_of(skb));
	return moment->netns && !cw_is_ours(moment->netns) ? 0 : cw_tell(skb, network, &search, moment);
}

SEC("tp_btf/netif_receive_skb")
int cw_on_receive(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];
	struct cw_moment moment = { .place = CW_PLACE_RECEIVE };

	// the kernel notes only afterwards where the IP header is
	return cw_see(skb, skb->data - skb->head, &moment);
}

SEC("tp_btf/net_dev_queue")
int cw_on_queue(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];
	struct cw_moment moment = { .place = CW_PLACE_QUEUE };

	return cw_see(skb, skb->network_header, &moment);
}

SEC("tp_btf/net_dev_start_xmit")
int cw_on_transmit(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];
	struct cw_moment moment = { .place = CW_PLACE_TRANSMIT };

	return cw_see(skb, skb->network_header, &moment);
}

// from Linux 6.11 on there is one more argument behind these
SEC("tp_btf/kfree_skb")
int cw_on_drop(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];
	struct cw_moment moment = { .place = CW_PLACE_DROP, .location = arguments[1], .reason = arguments[2] };

	return cw_see(skb, skb->network_header, &moment);
}

// what the kernel frees without having dropped it; from Linux 6.3 on there is one more argument
SEC("tp_btf/consume_skb")
int cw_on_read(__u64 *arguments)
{
	struct sk_buff *skb = (struct sk_buff *)arguments[0];
	struct cw_moment moment = { .place = CW_PLACE_READ };

	// of what was sent, and of copies, headers are still ahead; what has got to its receiver has none of IP any more
	if (skb->data <= skb->head + skb->network_header)
		return 0;
	return cw_see(skb, skb->network_header, &moment);
}
