// Whose a namespace is that is there already, and whether its test still runs. Pure.
import { annotationsOf, type KubeObject, labelsOf } from '#/model/kubernetes.ts'
import { aliveAnnotation, holderAnnotation, ownLabel } from './objects.ts'

/** A process, so that another one of the same machine can see whether it is still there. */
export type Holder = {
  readonly host: string
  /** Of this machine since it was started, and of no other one. */
  readonly boot: string
  /** The namespace of processes, in which the number counts. */
  readonly pidNamespace: string
  readonly pid: number
  /** When it was started, as the kernel writes it: numbers are used again. */
  readonly started: string
}

/** When a process was started, as /proc/PID/stat says; undefined for one that has ended, whose parent has not yet taken note of it. */
export function startedIn(stat: string): string | undefined {
  // the name before it, in parentheses, may have spaces
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === '' || state === 'Z' || state === 'X' ? undefined : fields[18]
}

export const holderText = (holder: Holder): string => JSON.stringify(holder)

function holderIn(text: string | undefined): Partial<Record<keyof Holder, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

/** Whether this command made it. */
export const isOwn = (namespace: KubeObject): boolean => labelsOf(namespace)[ownLabel.name] === ownLabel.value

export const isGoing = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined

/** By what it is seen whether the test still runs. */
export const pulseOf = (namespace: KubeObject): string => annotationsOf(namespace)[aliveAnnotation] ?? ''

/**
 * Whether the process that made it is gone, as far as that can be seen from here; undefined: it cannot. `self` is this process, `startedOf` says
 * when a process of this machine was started, undefined for one that is not there.
 */
export function isHolderGone(
  namespace: KubeObject,
  self: Holder,
  startedOf: (pid: number) => string | undefined,
): boolean | undefined {
  const { host, boot, pidNamespace, pid, started } = holderIn(annotationsOf(namespace)[holderAnnotation])
  // the name alone says little, as many machines are called localhost, and the first namespace of processes has the same number on all of them
  const isSameMachine = host === self.host && boot === self.boot && pidNamespace === self.pidNamespace
  return isSameMachine && typeof pid === 'number' ? startedOf(pid) !== started : undefined
}

/** Who runs the test, for people. */
export function holderName(namespace: KubeObject): string {
  const { host, pid } = holderIn(annotationsOf(namespace)[holderAnnotation])
  return typeof host === 'string' ? `process ${String(pid)} on ${host}` : 'somebody'
}
