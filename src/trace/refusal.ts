// Why the sender's own kernel does not send a probe: the errors of sendmsg(2) and raw(7).

const words: Readonly<Record<string, string>> = {
  EMSGSIZE: 'the packet is larger than the way allows',
  ENETUNREACH: 'there is no route to the destination',
  EHOSTUNREACH: 'the destination cannot be reached: a route says so, or the next hop does not answer',
  ENETDOWN: 'the device is down',
  EINVAL: 'a blackhole route throws it away',
  EACCES: 'a prohibit route forbids it, or the destination is the broadcast address of a subnet',
  EPERM: "a rule of a firewall in the sender's own namespace drops it (hook output)",
  EADDRNOTAVAIL: 'the sender does not have this address (any more)',
  ENOBUFS: 'the queue of the device is full',
  ENODEV: 'the device is gone',
}

export function refusalWords(code: string): string {
  return words[code] ?? 'the kernel does not send it'
}
