// What a trace is made of: where a packet was seen, where it is to be seen, and what each node's kernel would do with it. The schemas of the
// agent's API (src/api/schemas/trace*.ts) have the same fields; here each value also says of which node it is.
import { type StepKind, type TracePlace, type TraceRole } from '#/model/trace.ts'

export type Drop = {
  /** The kernel's own name of the reason, such as NETFILTER_DROP; NOT_SPECIFIED where it tells none. */
  readonly reason: string
  /** The function that freed the packet. */
  readonly function: string
}

/** A packet of the trace at one place. */
export type Sighting = {
  readonly node: string
  /** ms since 1970 by that node's clock, with parts of a millisecond. */
  readonly timeMs: number
  readonly place: TracePlace
  readonly role: TraceRole
  /** NAMESPACE/NAME, when it was seen in the namespace of this pod. */
  readonly pod?: string
  readonly device?: string
  /** NAMESPACE/NAME, when the device is the node's end of this pod. */
  readonly devicePod?: string
  readonly lengthBytes: number
  /** Tells copies of the packet apart: the kernel may use one again for another packet later. */
  readonly skb: string
  /** The beginning of the packet, hexadecimal. */
  readonly bytes: string
  readonly startsAt: 'link' | 'network'
  readonly drop?: Drop
}

/** Where a packet is to be seen on a node. */
export type WayPlace = {
  readonly place: Exclude<TracePlace, 'drop'>
  /** '' for a read, of which the kernel tells no device. */
  readonly device: string
  readonly pod?: string
}

/** One of the things that a node's kernel would do with the packet. */
export type Step = {
  readonly kind: StepKind
  readonly text: string
  /** The packet gets no further than here. */
  readonly isObstacle: boolean
  readonly device?: string
  /** In whose namespace it is. */
  readonly pod?: string
  /** Of docs/problems.md. */
  readonly code?: string
  readonly remedy?: string
  /** The device that the packet goes to from here. */
  readonly next?: string
  /** Of a route with several equal next hops: all of them. */
  readonly ways?: EqualWays
}

/** Equal next hops, of which the kernel chooses one for a packet: by its addresses alone, or by its ports too. */
export type EqualWays = {
  readonly hops: readonly { readonly device: string; readonly gateway?: string; readonly isChosen: boolean }[]
  readonly chosenBy: 'addresses' | 'ports'
}

/** One direction on one node. */
export type Prediction = {
  readonly node: string
  /** In the order in which the packet meets them. */
  readonly steps: readonly Step[]
  /** In order. */
  readonly way: readonly WayPlace[]
}

/** `there`: the probe itself; `back`: what answers it. */
export type Direction = 'there' | 'back'
