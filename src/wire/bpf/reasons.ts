// Why a program drops a packet: stable small numbers, the same in the programs, in metrics, in the command line and in docs/ebpf.md.

export type DropReason = {
  /** Never changes, and is never used again for another reason. Below 256. */
  readonly number: number
  /** What happened, as the end of "dropped: …". */
  readonly text: string
  readonly remedy: string
}

export const dropReasons = {
  source_address: {
    number: 1,
    text: 'the source is no address of the pod',
    remedy:
      'a pod sends from the addresses that the ADD gave it; an address added in the pod by hand needs source NAT there',
  },
  source_mac: {
    number: 2,
    text: "the source MAC is not the pod's",
    remedy: 'set the MAC of the interface in the pod back, or restart the pod after a change of MAC',
  },
  arp_sender: {
    number: 3,
    text: "an ARP packet tells an address or a MAC that is not the pod's",
    remedy: 'look in the pod for a program that announces addresses of others, such as a VRRP daemon',
  },
  neighbour_target: {
    number: 4,
    text: "neighbour discovery tells an address or a MAC that is not the pod's",
    remedy: 'look in the pod for a program that announces addresses of others, such as a VRRP daemon',
  },
  router_message: {
    number: 5,
    text: 'a pod sent a router advertisement or a redirect',
    remedy: 'look in the pod for a program that acts as a router, such as radvd',
  },
  malformed: {
    number: 6,
    text: 'the packet ends within its headers, they contradict each other, or they hide neighbour discovery',
    remedy: "capture on the pod's interface what it sends: tcpdump -ni eth0 -X",
  },
  protocol: {
    number: 7,
    text: 'the frame is neither IPv4 nor IPv6 nor ARP',
    remedy: 'pods may not send other frames, such as VLAN tags; use the bridge datapath on nodes whose pods have to',
  },
  multicast_budget: {
    number: 8,
    text: 'the pod sent more than 1,000 multicast or broadcast packets within a second',
    remedy: 'look in the pod for what sends them',
  },
  tunnel_owner: {
    number: 9,
    text: 'the packet came through the tunnel from a node that does not own its source address',
    remedy: 'see which node has that pod CIDR: kubectl get nodes; two nodes with one CIDR are told as CW1102',
  },
  tunnel_from_pod: {
    number: 10,
    text: "a pod sent a packet to a node's tunnel port",
    remedy: 'pods may not send to the port of the tunnel on nodes; another program of yours needs another port',
  },
  policy: {
    number: 11,
    text: 'no network policy allows it',
    remedy: 'allow the connection in a policy that selects the pod',
  },
  redirect: {
    number: 12,
    text: 'the node told a pod that another pod is nearer than the gateway (an ICMP redirect)',
    remedy: 'nothing: pods of a node are routed on purpose, and the packets themselves have been delivered',
  },
} as const satisfies Readonly<Record<string, DropReason>>

export type DropReasonName = keyof typeof dropReasons

const byNumber = new Map<number, DropReasonName>(
  Object.entries(dropReasons).map(([name, { number }]) => [number, name as DropReasonName]),
)

/** Undefined for a number that a newer program has. */
export function dropReasonName(number: number): DropReasonName | undefined {
  return byNumber.get(number)
}
