// What a trace is made of: where a packet was seen, where it is to be seen, and what each node's kernel would do with it. The schemas of the
// agent's API (src/api/schemas/trace*.ts) have the same fields.

/** Where in the kernel a packet is seen. `drop`: the kernel frees it; `read`: a process has read it. */
export const places = ['receive', 'queue', 'transmit', 'drop', 'read'] as const
export type Place = (typeof places)[number]

export type Drop = {
  /** The kernel's own name of the reason, such as NETFILTER_DROP; NOT_SPECIFIED where it tells none. */
  readonly reason: string
  /** The function that freed the packet. */
  readonly function: string
}

export type Where = {
  readonly node: string
  /** NAMESPACE/NAME, where it is in the namespace of a pod. */
  readonly pod?: string
}

/** The packet, or its answer, at one place. */
export type Sighting = {
  /** ms since 1970 by that node's clock, with parts of a millisecond. */
  readonly timeMs: number
  readonly place: Place
  readonly where: Where
  /** '' where the kernel does not tell one. */
  readonly device: string
  readonly lengthBytes: number
  readonly isReply: boolean
  /** Tells copies of the packet apart: the kernel may use one again for another packet later. */
  readonly skb: string
  /** The beginning of the packet, base64. */
  readonly bytes: string
  readonly startsAt: 'link' | 'network'
  readonly drop?: Drop
}

/** Where a packet is to be seen on a node. */
export type WayPlace = {
  readonly place: Exclude<Place, 'drop'>
  readonly device: string
  readonly pod?: string
}

export const stepKinds = [
  'route',
  'neighbour',
  'fdb',
  'bridge',
  'policy',
  'nftables',
  'service',
  'program',
  'mtu',
  'tunnel',
  'deliver',
] as const
export type StepKind = (typeof stepKinds)[number]

/** What a node's kernel would do with the packet, one of several steps. */
export type Step = {
  readonly kind: StepKind
  readonly text: string
  readonly isObstacle: boolean
  readonly device?: string
  /** Of docs/problems.md. */
  readonly code?: string
  readonly remedy?: string
  /** The device that the packet goes to from here. */
  readonly next?: string
}

/** One direction on one node. */
export type Prediction = {
  readonly node: string
  readonly steps: readonly Step[]
  /** In order. */
  readonly way: readonly WayPlace[]
}

/** `there`: the probe itself; `back`: its answer. */
export type Direction = 'there' | 'back'
export const directions: readonly Direction[] = ['there', 'back']
