/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
// The kernel's types as far as the programs of a trace read them. libbpf finds the fields' real offsets in the kernel's own types (CO-RE).
#pragma once

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	char name[16];
	int ifindex;
	unsigned short type;
	possible_net_t nd_net;
};

struct sock_common {
	unsigned short skc_family;
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
};

struct dst_entry {
	struct net_device *dev;
};

struct sk_buff {
	struct net_device *dev;
	/** In the place of `dev`. */
	unsigned long dev_scratch;
	struct sock *sk;
	unsigned long _skb_refdst;
	unsigned int len;
	unsigned int data_len;
	unsigned char ip_summed : 2;
	unsigned int mark;
	__be16 protocol;
	__u16 network_header;
	__u16 mac_header;
	__u32 tail;
	unsigned char *head;
	unsigned char *data;
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	struct nsproxy *nsproxy;
};

#pragma clang attribute pop

// only its name counts: its numbers differ from kernel to kernel
enum skb_drop_reason { SKB_NOT_DROPPED_YET };
