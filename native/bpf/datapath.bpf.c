/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// The programs of the eBPF datapath. docs/ebpf.md has the way of each packet as a table; maps, constants and drop reasons come from
// src/wire/bpf, of which causeway.h is generated.
#include <stddef.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "causeway.h"
#include "packet.h"
#include "lookup.h"
#include "report.h"
#include "conntrack.h"
#include "policy.h"
#include "delivery.h"
#include "neighbour.h"
#include "from-pod.h"
#include "from-nodes.h"

// the kernel's functions for connection tracking are for programs under the GPL
char cw_license[] SEC("license") = "Dual MIT/GPL";

SEC("tc")
int cw_from_pod(struct __sk_buff *skb)
{
	struct cw_config *config = cw_the_config();
	int watch;

	if (!config)
		return CW_STACK;
	watch = cw_watched_by(skb, config);
	return cw_finish(skb, CW_HOOK_FROM_POD, watch, cw_frame_from_pod(skb, config));
}

#define CW_ICMP_REDIRECT 5

/** Whether the message of an IPv4 packet begins right after a header without options; a later fragment has anything there. */
static __always_inline bool cw_begins_message(struct __sk_buff *skb)
{
	struct iphdr ip;

	return bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) == 0 && ip.ihl == 5 && !(ip.frag_off & CW_FRAGMENT_OFFSET);
}

/**
 * Whether the node tells a pod that its neighbour is nearer than the gateway. It does so for every packet that it routes back to the bridge
 * (ip_forward and ip6_forward), and no setting of the bridge alone keeps it from that.
 */
static __always_inline bool cw_is_redirect(struct __sk_buff *skb)
{
	__u8 protocol, type;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, protocol), &protocol, 1) == 0 &&
		       protocol == IPPROTO_ICMP && cw_begins_message(skb) &&
		       bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr), &type, 1) == 0 && type == CW_ICMP_REDIRECT;
	return skb->protocol == bpf_htons(ETH_P_IPV6) &&
	       bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, nexthdr), &protocol, 1) == 0 &&
	       protocol == IPPROTO_ICMPV6 && bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct ipv6hdr), &type, 1) == 0 &&
	       type == CW_ND_REDIRECT;
}

SEC("tc")
int cw_to_pod(struct __sk_buff *skb)
{
	struct cw_config *config = cw_the_config();
	struct cw_port *port = cw_port_of(skb->ifindex);

	if (!config || !port)
		return CW_STACK;
	if (cw_is_redirect(skb))
		return cw_finish(skb, CW_HOOK_TO_POD, 0, CW_DROP(REDIRECT));
	if (skb->tc_index == CW_CARRIED_MARK)
		skb->tc_index = 0;
	else
		cw_count(port->slot, CW_TRAFFIC_TO_POD_STACK, skb->len);
	return cw_finish(skb, CW_HOOK_TO_POD, cw_watched_by(skb, config), CW_STACK);
}

SEC("tc")
int cw_from_underlay(struct __sk_buff *skb)
{
	struct cw_config *config = cw_the_config();
	int watch;

	if (!config)
		return CW_STACK;
	watch = cw_watched_by(skb, config);
	return cw_finish(skb, CW_HOOK_FROM_UNDERLAY, watch, cw_packet_from_underlay(skb, config));
}

SEC("tc")
int cw_from_tunnel(struct __sk_buff *skb)
{
	struct cw_config *config = cw_the_config();
	int watch;

	if (!config)
		return CW_STACK;
	watch = cw_watched_by(skb, config);
	return cw_finish(skb, CW_HOOK_FROM_TUNNEL, watch, cw_packet_from_tunnel(skb, config));
}

struct cw_clock_reading {
	__u64 jiffies;
	__u64 ns;
};

/** Run by the agent twice, to find out how many jiffies a second has. */
SEC("syscall")
int cw_clock(struct cw_clock_reading *reading)
{
	reading->jiffies = bpf_jiffies64();
	reading->ns = bpf_ktime_get_ns();
	return 0;
}
