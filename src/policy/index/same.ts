// Whether what is told of an object is what was known: pods are told of many times without a difference that counts.
import { type Addr } from '#/lib/addr.ts'
import { type Labels, type NamedPort, type PolicyNamespace, type PolicyPod } from '../cluster.ts'
import { type LocalPod } from './state.ts'

function isSameList<T>(some: readonly T[], others: readonly T[], isSame: (one: T, other: T) => boolean): boolean {
  return some.length === others.length && some.every((one, index) => isSame(one, others[index]!))
}

function isSameAddrs(some: readonly Addr[], others: readonly Addr[]): boolean {
  return isSameList(some, others, (one, other) => one.equals(other))
}

function isSameLabels(some: Labels, others: Labels): boolean {
  const keys = Object.keys(some)
  return (
    keys.length === Object.keys(others).length &&
    keys.every((key) => Object.hasOwn(others, key) && some[key] === others[key])
  )
}

const isSamePort = (one: NamedPort, other: NamedPort): boolean =>
  one.name === other.name && one.protocol === other.protocol && one.port === other.port

/** Of two pods with the same name. */
export function isSamePod(one: PolicyPod, other: PolicyPod): boolean {
  return (
    one.uid === other.uid &&
    one.configUid === other.configUid &&
    one.node === other.node &&
    one.isHostNetwork === other.isHostNetwork &&
    one.hasEnded === other.hasEnded &&
    isSameAddrs(one.addrs, other.addrs) &&
    isSameLabels(one.labels, other.labels) &&
    isSameList(one.namedPorts, other.namedPorts, isSamePort)
  )
}

/** Of two interfaces with the same device. */
export function isSameLocal(one: LocalPod, other: LocalPod): boolean {
  return (
    one.namespace === other.namespace &&
    one.name === other.name &&
    one.uid === other.uid &&
    isSameAddrs(one.addrs, other.addrs)
  )
}

/** Of two namespaces with the same name. */
export function isSameNamespace(one: PolicyNamespace, other: PolicyNamespace): boolean {
  return one.isAudited === other.isAudited && isSameLabels(one.labels, other.labels)
}
