// Whether a bridge brings a frame to the port of the pod that it is for, as a step. Pure.
import { type At, passes, type PredictedStep, stops } from './predict-steps.ts'

/** The host device of a pod as the kernel has it. */
export type PortFacts = {
  readonly name: string
  readonly pod: string
  /** Absent: there is no such device. */
  readonly link?: { readonly isUp: boolean; readonly isBlocked: boolean; readonly bridge?: string }
}

/** Undefined: the port is as it should be. */
export function portStep({ name, pod, link }: PortFacts, bridge: string): PredictedStep | undefined {
  const at: At = { device: name }
  const restart = `restart the agent of this node, which attaches it again; if that does not help, delete pod ${pod}`
  if (link === undefined)
    return stops('bridge', `the host device ${name} of pod ${pod} is gone`, at, {
      code: 'CW3105',
      remedy: `delete pod ${pod}, so that it is made anew`,
    })
  if (!link.isUp)
    return stops('bridge', `the host device ${name} of pod ${pod} is down`, at, { remedy: `ip link set ${name} up` })
  if (link.bridge !== bridge)
    return stops(
      'bridge',
      `the host device ${name} of pod ${pod} is ${link.bridge === undefined ? 'no port of a bridge' : `a port of ${link.bridge}`}, not of ${bridge}`,
      at,
      { code: 'CW2003', remedy: restart },
    )
  if (link.isBlocked)
    return stops('bridge', `${bridge} holds back all frames of its port ${name}, that of pod ${pod}`, at, {
      remedy: `let it forward: bridge link set dev ${name} state 3; and see which program blocks it`,
    })
  return undefined
}

export type FdbFacts = {
  readonly bridge: string
  readonly mac: string
  /** The port of the pod that has the MAC. */
  readonly port: string
  /** The port that the bridge sends to; absent: it has no entry, and sends to all ports. */
  readonly found?: string
  readonly isStatic?: boolean
}

export function fdbStep({ bridge, mac, port, found, isStatic }: FdbFacts): PredictedStep {
  const at: At = { device: bridge, next: port }
  if (found === undefined) return passes('fdb', `${bridge} does not know ${mac} yet, and sends to all of its ports`, at)
  if (found === port) return passes('fdb', `${bridge} sends to ${mac} by ${port}`, at)
  return stops(
    'fdb',
    `${bridge} sends frames for ${mac} by ${found}, and the pod that has that MAC is at ${port}`,
    at,
    {
      remedy: isStatic
        ? `somebody set the entry; take it out: bridge fdb del ${mac} dev ${found} master`
        : `another pod sends with that MAC; have the bridge learn anew: bridge fdb del ${mac} dev ${found} master`,
    },
  )
}
