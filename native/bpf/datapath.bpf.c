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
#include "report.h"
#include "conntrack.h"
#include "delivery.h"
#include "neighbour.h"

// the kernel's functions for connection tracking are for programs under the GPL
char cw_license[] SEC("license") = "Dual MIT/GPL";

/** So many extension headers of IPv6 are looked behind (RFC 8200 section 4.1). */
#define CW_MOST_EXTENSIONS 6

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

/** Whether programs carry what goes to a node and what comes from it: the stack has to see both directions of a connection or neither. */
static __always_inline bool cw_has_carried_way(const struct cw_node *node)
{
	return node && node->way != CW_WAY_NONE && node->way != CW_WAY_LOCAL;
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

/** Whether what goes to the node and comes from it is the stack's from now on, after programs have carried it. */
static __always_inline bool cw_is_draining(const struct cw_node *node)
{
	return node->flags & CW_NODE_DRAINING;
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
	if (flow.protocol == 0 || !from || from->device != skb->ifindex || eth->h_dest[0] & 1) {
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

/** VXLAN over IPv4. Only what is certain is taken here; the tunnel device takes the rest, and cw_from_tunnel sees it then. */
static __always_inline int cw_vxlan_from_underlay(struct __sk_buff *skb, __be32 outer_source, __u8 outer_ecn,
						  const struct cw_config *config)
{
	struct cw_flow flow = {};
	struct cw_outer *outer;
	struct cw_node *node;
	struct cw_pod *pod;
	__be16 protocol;
	__u32 bytes = skb->len - CW_TUNNEL_BYTES;
	bool is_ipv4, may;
	__u8 next;

	if (!cw_reachable(skb, ETH_HLEN + sizeof(*outer)))
		return CW_STACK;
	outer = cw_data(skb) + ETH_HLEN;
	if ((void *)(outer + 1) > cw_end(skb))
		return CW_STACK;
	if (outer->vxlan.flags != CW_VXLAN_HAS_VNI || outer->vxlan.vni != bpf_htonl(config->vni << 8))
		return CW_STACK;
	protocol = outer->inner.h_proto;
	if (protocol == bpf_htons(ETH_P_IP)) {
		is_ipv4 = true;
		if (!cw_read_ipv4(skb, &flow, ETH_HLEN + CW_TUNNEL_BYTES) || flow.protocol == 0)
			return CW_STACK;
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		is_ipv4 = false;
		if (!cw_read_ipv6(skb, &flow, ETH_HLEN + CW_TUNNEL_BYTES, &next) || flow.protocol == 0)
			return CW_STACK;
	} else {
		return CW_STACK;
	}
	pod = cw_pod_to(&flow, is_ipv4);
	if (!cw_is_taken(pod))
		return CW_STACK;
	node = cw_node_from(&flow, is_ipv4);
	if (!cw_has_carried_way(node) || !cw_owns4(outer_source, node))
		return CW_STACK;
	// a queue needs the packet as the kernel takes it out, and so does a mark of congestion that has to be taken over (RFC 6040)
	may = !(pod->flags & CW_POD_LIMITED) && !cw_is_draining(node) && flow.hops > 1 && cw_fits(&flow, pod->mtu) &&
	      (outer_ecn == flow.ecn || outer_ecn == 0);
	if (!may || !cw_is_carried(skb, &flow, is_ipv4, true, config) || !cw_decapsulate(skb, is_ipv4))
		return CW_STACK;
	// no way back from here: the outer headers are gone
	if (!cw_hop(skb, ETH_HLEN, is_ipv4))
		return CW_DROP(MALFORMED);
	cw_count(pod->slot, CW_TRAFFIC_TO_POD_TUNNEL, bytes);
	return cw_deliver(skb, pod, protocol, config);
}

static __always_inline int cw_packet_from_underlay(struct __sk_buff *skb, const struct cw_config *config)
{
	struct cw_flow flow = {};
	struct cw_pod *pod;
	bool is_ipv4;
	__u8 next;

	// not for this node, or for many
	if (skb->pkt_type != 0 || skb->vlan_present)
		return CW_STACK;
	is_ipv4 = skb->protocol == bpf_htons(ETH_P_IP);
	if (is_ipv4) {
		if (!cw_read_ipv4(skb, &flow, ETH_HLEN) || flow.protocol == 0)
			return CW_STACK;
		if (cw_is_to_tunnel_port(&flow, config))
			return cw_vxlan_from_underlay(skb, flow.src4, flow.ecn, config);
	} else if (skb->protocol != bpf_htons(ETH_P_IPV6) || !cw_read_ipv6(skb, &flow, ETH_HLEN, &next) || flow.protocol == 0) {
		return CW_STACK;
	}
	// most of what comes here is for the node itself, and is not to pay for more
	pod = cw_pod_to(&flow, is_ipv4);
	if (!cw_is_taken(pod))
		return CW_STACK;
	return cw_take(skb, &flow, is_ipv4, pod, cw_node_from(&flow, is_ipv4), CW_TRAFFIC_TO_POD_NATIVE, config);
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

static __always_inline int cw_packet_from_tunnel(struct __sk_buff *skb, const struct cw_config *config)
{
	struct cw_flow flow = {};
	struct cw_node *node;
	struct cw_pod *pod;
	bool is_ipv4 = skb->protocol == bpf_htons(ETH_P_IP);
	__u8 next;

	if (!is_ipv4 && skb->protocol != bpf_htons(ETH_P_IPV6))
		return CW_STACK;
	if (!(is_ipv4 ? cw_read_ipv4(skb, &flow, ETH_HLEN) : cw_read_ipv6(skb, &flow, ETH_HLEN, &next)))
		return CW_DROP(MALFORMED);
	node = cw_node_from(&flow, is_ipv4);
	if (cw_is_forged(skb, node))
		return CW_DROP(TUNNEL_OWNER);
	if (flow.protocol == 0)
		return CW_STACK;
	pod = cw_pod_to(&flow, is_ipv4);
	if (!cw_is_taken(pod))
		return CW_STACK;
	return cw_take(skb, &flow, is_ipv4, pod, node, CW_TRAFFIC_TO_POD_TUNNEL, config);
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
