// What programs of the eBPF datapath do with a packet, as steps. Pure.
import { passes, type PredictedStep, stops } from './predict-steps.ts'

export type ProgramFacts = {
  /** The pod's host device. */
  readonly device: string
  readonly pod: string
  readonly src: string
  readonly protocol: 'icmp' | 'udp' | 'tcp'
  readonly isAttached: boolean
  /** Whether the maps have the source as an address of this pod. */
  readonly isPodKnown: boolean
  /** The MAC by which the program knows the pod; absent: it does not know the device. */
  readonly portMac?: string
  readonly podMac: string
  /** The way that later packets of the connection take; absent: the stack's. */
  readonly laterWay?: string
}

export function programStep(facts: ProgramFacts): PredictedStep {
  const { device, pod, src, protocol, isAttached, isPodKnown, portMac, podMac, laterWay } = facts
  const at = { device }
  if (!isAttached)
    return passes(
      'program',
      `no program of the eBPF datapath is attached to ${device}: the network stack carries all (CW3205)`,
      at,
    )
  if (portMac === undefined)
    return passes('program', `programs do not know ${device}: the network stack carries all (CW3203)`, at)
  if (portMac !== podMac)
    return stops('program', `pod ${pod} sends from the MAC ${podMac}, and cw_from_pod takes only ${portMac}`, at, {
      code: 'CW3231',
      remedy: `set the MAC of the interface in the pod back, or restart the pod; the agent takes over a MAC that a plugin has set within a minute`,
    })
  if (!isPodKnown)
    return stops(
      'program',
      `cw_from_pod drops what pod ${pod} sends from ${src}: the maps have no such address of it`,
      at,
      {
        code: 'CW3231',
        remedy:
          'a pod sends from the addresses that its ADD gave it; if this is one of them, restart the agent of this node, which fills the maps',
      },
    )
  const later =
    protocol === 'icmp'
      ? 'as all of ICMP'
      : laterWay === undefined || laterWay === 'none'
        ? 'as all packets there'
        : `as the first of a connection; later ones are carried past it (way ${laterWay})`
  return passes('program', `cw_from_pod gives it to the network stack, ${later}`, at)
}

export type TunnelOwnerFacts = {
  readonly device: string
  readonly src: string
  readonly outerSrc: string
  /** The node that owns the source; absent: none that the maps know. */
  readonly owner?: string
  /** The node that has the tunnel end. */
  readonly end?: string
}

/** Undefined: nothing to tell, since the maps know no owner. */
export function tunnelOwnerStep({ device, src, outerSrc, owner, end }: TunnelOwnerFacts): PredictedStep | undefined {
  if (owner === undefined) return undefined
  if (owner === end)
    return passes('program', `cw_from_tunnel takes it: ${owner} owns ${src}, and sends from ${outerSrc}`, { device })
  return stops(
    'program',
    `cw_from_tunnel drops it: ${src} is of ${owner}, and ${outerSrc} of ${end ?? 'no node that the maps know'}`,
    { device },
    {
      code: 'CW3232',
      remedy:
        'see which node has that pod CIDR and which that address: kubectl get nodes -o wide; two nodes with one CIDR are told as CW1103',
    },
  )
}
