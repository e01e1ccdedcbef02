// The numbers that programs and agent share, in words: the same in the API, the command line and metrics. Pure.
import { type Constants, hooks, trafficKinds, verdicts, ways } from './maps.ts'
import { dropReasonName, dropReasons } from './reasons.ts'

export type HookName = keyof typeof hooks
export type VerdictName = keyof typeof verdicts
export type WayName = keyof typeof ways
export type TrafficKind = keyof typeof trafficKinds

function nameIn<Name extends string>(constants: Constants & Record<Name, number>, number: number): Name | undefined {
  return (Object.keys(constants) as Name[]).find((name) => constants[name] === number)
}

/** Undefined for a number that a newer program has; so are the two below. */
export function hookName(number: number): HookName | undefined {
  return nameIn<HookName>(hooks, number)
}

export function verdictName(number: number): VerdictName | undefined {
  return nameIn<VerdictName>(verdicts, number)
}

export function wayName(number: number): WayName | undefined {
  return nameIn<WayName>(ways, number)
}

/** How packets leave for the addresses of a prefix. */
export const wayWords: Readonly<Record<WayName, string>> = {
  none: "by the node's own stack",
  local: "this node's pods",
  native: 'native',
  tunnel4: 'tunnel over IPv4',
  tunnel6: 'tunnel over IPv6',
}

/** The parts of a kind of traffic: which end of it the pod is, and by which way the packets went. */
export type TrafficWay = 'stack' | 'local' | 'native' | 'tunnel'
export type PodDirection = 'from_pod' | 'to_pod'
export const trafficWays: readonly TrafficWay[] = ['stack', 'local', 'native', 'tunnel']
export const podDirections: readonly PodDirection[] = ['from_pod', 'to_pod']

export function trafficKind(direction: PodDirection, way: TrafficWay): number {
  return trafficKinds[`${direction}_${way}`]
}

export type ReasonTold = { readonly name: string; readonly text: string; readonly remedy: string }

/** A drop's reason in words, also of a number that only a newer program knows. */
export function reasonTold(number: number): ReasonTold {
  const name = dropReasonName(number)
  if (name !== undefined) return { name, text: dropReasons[name].text, remedy: dropReasons[name].remedy }
  return {
    name: `reason_${number}`,
    text: `reason ${number}, which this version does not know`,
    remedy: 'ask an agent of the version whose programs are at work',
  }
}
