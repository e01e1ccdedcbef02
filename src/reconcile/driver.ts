// What a driver does: compare one class of kernel objects with what is desired, and say how to get from one to the other.
import { type KernelError, type Operation } from '#/kernel/netlink.ts'
import { type DesiredNetwork, type NetworkDelta } from '#/model/network.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { type Failure } from './status.ts'

/**
 * How a change is carried out: netlink operations, which go in batches, or a call of its own, which may take its time (to verify a
 * program takes the kernel milliseconds) as long as it leaves the event loop alone meanwhile.
 */
export type Work = { readonly operations: readonly Operation[] } | { readonly call: () => void | Promise<void> }

/** The errno's name and the words of the kernel. */
export type KernelRefusal = { readonly code: string | undefined; readonly message: string }

export type Change = {
  readonly verb: 'add' | 'change' | 'delete'
  /** The object, unique within the driver's kind: "10.244.2.0/24", "cw-br0". */
  readonly key: string
  /** The same as commands of ip, bridge and nft. */
  readonly commands: readonly string[]
  readonly work: Work
  /** The key of the object that takes the place of this one, which therefore stays when that one could not be made. */
  readonly successor?: string
  /** Called when the change has been carried out. */
  readonly done?: () => void
  /** What a refusal means and what to do; without it, or when it has nothing to say, the kernel's words are told. */
  readonly explain?: (error: KernelRefusal) => Failure | undefined
}

export type Comparison = {
  /** Every desired object that was looked at, whether it is there as desired or not. */
  readonly keys: readonly string[]
  /** Additions and changes, in the order in which they are carried out, netlink operations and calls alike. */
  readonly changes: readonly Change[]
  /** Ours and not desired, in the order in which to delete. */
  readonly leftovers: readonly Change[]
  /** Desired objects that cannot be made, and why. */
  readonly failures: ReadonlyMap<string, Failure>
}

export const nothingToDo: Comparison = { keys: [], changes: [], leftovers: [], failures: new Map() }

export type CompareOptions = {
  /** Whether the cluster's whole state is known. Until then what is there may be right though it is not desired. */
  readonly isComplete: boolean
  /** Whether BGP may not have told everything yet: routes that it may have made before stay, though they are not desired. */
  readonly keepsLearned?: boolean
}

export interface Driver {
  readonly kind: ObjectKind
  /** Reads the kernel and compares. Throws KernelError when it cannot be read. */
  compare(desired: DesiredNetwork, options: CompareOptions): Comparison | Promise<Comparison>
  /** What a difference means for the kernel, without reading it. Undefined: not known before the next comparison. */
  fromDelta?(delta: NetworkDelta, options: CompareOptions): Comparison | undefined
}

/** Errors that mean that what was to go is gone. */
const goneCodes = ['ENOENT', 'ESRCH', 'ENODEV', 'EADDRNOTAVAIL']

export function meansGone(error: KernelError): boolean {
  return goneCodes.includes(error.code)
}

/** What the pieces of a comparison are made of, for the usual driver: things with a key, equal or not. */
export type Shape<D, A> = {
  readonly desired: ReadonlyMap<string, D>
  /** Only what is ours. */
  readonly actual: ReadonlyMap<string, A>
  readonly same: (desired: D, actual: A) => boolean
  readonly add: (desired: D) => readonly Operation[]
  /** Defaults to `add`: most kernel objects are replaced by adding them again. */
  readonly change?: (desired: D, actual: A) => readonly Operation[]
  readonly remove: (actual: A) => readonly Operation[]
  /** Why an object cannot be made now, or undefined. */
  readonly obstacle?: (desired: D) => Failure | undefined
  readonly explain?: (desired: D, error: KernelRefusal) => Failure | undefined
}

export function changeOf(
  verb: Change['verb'],
  key: string,
  operations: readonly Operation[],
  more: Pick<Change, 'successor' | 'done' | 'explain'> = {},
): Change {
  return {
    verb,
    key,
    // hardly ever asked for when there are many
    get commands() {
      return operations.map(({ what }) => what)
    },
    work: { operations },
    ...more,
  }
}

export function compareByKey<D, A>(shape: Shape<D, A>): Comparison {
  const { explain } = shape
  const changes: Change[] = []
  const failures = new Map<string, Failure>()
  for (const [key, desired] of shape.desired) {
    const actual = shape.actual.get(key)
    if (actual !== undefined && shape.same(desired, actual)) continue
    const obstacle = shape.obstacle?.(desired)
    if (obstacle !== undefined) {
      failures.set(key, obstacle)
      continue
    }
    const more = explain ? { explain: (error: KernelRefusal) => explain(desired, error) } : {}
    changes.push(
      actual === undefined
        ? changeOf('add', key, shape.add(desired), more)
        : changeOf('change', key, shape.change?.(desired, actual) ?? shape.add(desired), more),
    )
  }
  const leftovers = [...shape.actual]
    .filter(([key]) => !shape.desired.has(key))
    .map(([key, actual]) => changeOf('delete', key, shape.remove(actual)))
  return { keys: [...shape.desired.keys()], changes, leftovers, failures }
}
