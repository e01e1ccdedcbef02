// What translates the destination of a packet, as a step. Pure.
import { type At, passes, type PredictedStep } from './predict-steps.ts'

export type ServiceEnd = { readonly addr?: string; readonly port?: number }

export type ServiceFacts = {
  readonly at: At
  /** The destination as the packet has it. */
  readonly dst: string
  /** The chain of rules that translates, or the kernel part that does. */
  readonly by: string
  /** What the rules call it, such as "default/web:http cluster IP". */
  readonly name?: string
  /** Those from which one is chosen. */
  readonly ends: readonly ServiceEnd[]
  /** The one that is gone on with, and why. */
  readonly chosen?: ServiceEnd
  readonly isTracked: boolean
}

/** Ends that are named; the rest is counted. */
const mostNamed = 4

export function endText({ addr = 'this node', port }: ServiceEnd): string {
  if (port === undefined) return addr
  return addr.includes(':') ? `[${addr}]:${port}` : `${addr}:${port}`
}

export function serviceStep({ at, dst, by, name, ends, chosen, isTracked }: ServiceFacts): PredictedStep {
  const named = ends.slice(0, mostNamed).map(endText)
  const more = ends.length > mostNamed ? ` and ${ends.length - mostNamed} more` : ''
  const what = name === undefined ? dst : `${dst} (${name})`
  const into = ends.length === 1 ? named[0] : `one of ${ends.length}: ${named.join(', ')}${more}`
  const goesOn =
    chosen === undefined || ends.length < 2
      ? ''
      : isTracked
        ? `; connection tracking has it at ${endText(chosen)}`
        : `; what follows is for ${endText(chosen)}`
  return passes('service', `${what} is translated into ${into}, by ${by}${goesOn}`, at)
}
