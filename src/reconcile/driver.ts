// What a driver does: it compares one kind of kernel objects with what is desired, and lists the changes that lead there.
import { type KernelError, type Operation } from '#/kernel/netlink.ts'
import { type DesiredNetwork, type NetworkDelta } from '#/model/network.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { type Blockade } from '#/obstacles/firewall/blockade.ts'
import { type Failure } from './status.ts'

/**
 * How a change is carried out: by netlink operations, which go in batches, or by a call. A call may take long (the kernel needs
 * milliseconds to verify a program) as long as it does not block the event loop.
 */
export type Work = { readonly operations: readonly Operation[] } | { readonly call: () => void | Promise<void> }

/** The errno's name and the kernel's message. */
export type KernelRefusal = { readonly code: string | undefined; readonly message: string }

export type Change = {
  readonly verb: 'add' | 'change' | 'delete'
  /** The object, unique within the driver's kind: "10.244.2.0/24", "cw-br0". */
  readonly key: string
  /** The change as commands of ip, bridge and nft. */
  readonly commands: readonly string[]
  readonly work: Work
  /** The object was made already, and nobody of this program has deleted it. */
  readonly isRestoration?: boolean
  /** The key of the object that replaces this one; when the replacement could not be made, this one stays. */
  readonly successor?: string
  /** Called when the change has been carried out. */
  readonly done?: () => void
  /** Explains a refusal and what to do; when absent, or when it returns undefined, the kernel's message is reported. */
  readonly explain?: (error: KernelRefusal) => Failure | undefined
}

export type Comparison = {
  /** Every desired object that was compared, whether or not the kernel has it as desired. */
  readonly keys: readonly string[]
  /** Additions and changes, in the order in which they are carried out, netlink operations and calls alike. */
  readonly changes: readonly Change[]
  /** Deletions of our objects that are not desired, in the order in which to delete. */
  readonly leftovers: readonly Change[]
  /** Desired objects that cannot be made, and why. */
  readonly failures: ReadonlyMap<string, Failure>
}

export const nothingToDo: Comparison = { keys: [], changes: [], leftovers: [], failures: new Map() }

export { type Blockade }

export type CompareOptions = {
  /** Whether the cluster's whole state is known. Until then objects in the kernel may be right though they are not desired. */
  readonly isComplete: boolean
  /** Whether BGP may have more routes to announce: existing routes that may stem from BGP stay, though they are not desired. */
  readonly keepsLearned?: boolean
  /** Set when only these kinds are looked at, because something of them may have changed, and not everything anew. */
  readonly kinds?: ReadonlySet<ObjectKind>
}

export interface Driver {
  readonly kind: ObjectKind
  /** What the last comparison found in the way of pods' packets. */
  readonly blockades?: readonly Blockade[]
  /** Reads the kernel and compares. Throws KernelError when it cannot be read. */
  compare(desired: DesiredNetwork, options: CompareOptions): Comparison | Promise<Comparison>
  /** The changes for a difference, made without reading the kernel. Returns undefined when a comparison is needed first. */
  fromDelta?(delta: NetworkDelta, options: CompareOptions): Comparison | undefined
}

/** Errors of a deletion that mean that the object is already gone. */
const goneCodes = ['ENOENT', 'ESRCH', 'ENODEV', 'EADDRNOTAVAIL']

export function meansGone(error: KernelError): boolean {
  return goneCodes.includes(error.code)
}

/** What most drivers give to have their objects compared: objects by key, whether two are equal, and how to change them. */
export type Shape<D, A> = {
  readonly desired: ReadonlyMap<string, D>
  /** The kernel's objects by key, only our own. */
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
  more: Pick<Change, 'successor' | 'done' | 'explain' | 'isRestoration'> = {},
): Change {
  return {
    verb,
    key,
    // rendered only on demand: large numbers of changes are logged without their commands
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
