// Carries out CNI calls: takes addresses from the store, makes the pod's network in the kernel, and answers.
// The agent may be killed at any line, so the order matters: an address is claimed on disk before it is used, and given back only
// after the device that used it is unplugged.
import { type Prefix } from '#/lib/addr.ts'
import { WireError } from '#/lib/bytes.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import {
  type Datapath,
  InterfaceTakenError,
  NodeFullError,
  type PodNetwork,
  PodNetworkError,
  type PodNetworkState,
} from '#/datapath/datapath.ts'
import { datapathKinds, type Datapaths } from '#/datapath/registry.ts'
import { hostDeviceOf } from '#/datapath/veth.ts'
import { type VethRemoval } from '#/datapath/veth-removal.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { type DatapathName, datapathNames } from '#/model/datapath.ts'
import { byFamily, poolOf, tooSmall } from '#/plan/allocate.ts'
import { SysError } from '#/sys/libc.ts'
import { type Attachment, attachmentKey, type CniOperation, type CniReply, CniErrorCode } from '#/wire/cni/index.ts'
import { resultOf } from './cni-result.ts'
import { type Claim, type Endpoint, type EndpointStore, type Reservation } from '../endpoints/endpoint-store.ts'
import { StateError } from '../endpoints/state-file.ts'
import { isAnother, type NamespaceFinder, type NamespaceState, ownNamespaceId } from '#/sys/namespaces.ts'
import { type AddedPod, PolicyError, type PodPolicies } from '../policy/pod-policies.ts'
import { readPodRequest } from './pod-request.ts'
import { type AddRefusal } from '#/model/readiness.ts'

export type CniHandlerDeps = {
  readonly store: EndpointStore
  readonly datapaths: Datapaths
  /** The datapath that wires new pods. */
  readonly datapath: () => DatapathName
  /** The network that pods get now, or why there is none. */
  readonly podNetwork: () => PodNetworkState
  readonly removal: Pick<VethRemoval, 'flush'>
  readonly namespaces: NamespaceFinder
  /** Has rules in the kernel before a pod is wired. Absent: there are no policies. */
  readonly policies?: Pick<PodPolicies, 'enforce' | 'noteEndpoints'>
  /** Releases what is certainly leaked, as addresses are exhausted; returns how many endpoints. Absent: nothing is looked for. */
  readonly reclaim?: () => number
  /** Called after pods were added or removed. */
  readonly onChange: () => void
  readonly log: Logger
}

/** Every operation except STATUS, which is about the node (cni-status.ts). */
export type PodOperation = Exclude<CniOperation, { kind: 'status' }>

type Of<K extends CniOperation['kind']> = Extract<CniOperation, { kind: K }>

const ok: CniReply = { kind: 'ok' }

/** What came of an ADD; `full` when the node has no room for the pod. */
type Attempt = CniReply | { readonly kind: 'full'; readonly refusal: AddRefusal }

function failure(code: number, msg: string, details = ''): CniReply {
  return { kind: 'error', error: { code, msg, details } }
}

function noPodNetwork(why: string): CniReply {
  return failure(CniErrorCode.tryAgainLater, 'the node has no pod network yet', why)
}

/** The pod as policies know it; undefined where the runtime is not of Kubernetes. */
export function addedPodOf({ args }: Of<'add'>): AddedPod | undefined {
  const { podNamespace: namespace = 'default', podName: name, podUid: uid = '' } = args
  return name === undefined ? undefined : { namespace, name, uid }
}

/** The refusal of a pod whose policies cannot be enforced. */
export function notYet(pod: string, why: string): CniReply {
  return failure(CniErrorCode.tryAgainLater, `the network policies for pod ${pod} cannot be enforced yet`, why)
}

function podNameOf({ args, containerId }: Of<'add'>): string {
  return args.podName ? `${args.podNamespace ?? 'default'}/${args.podName}` : containerId
}

/** Whether kernel, disk or input caused the error; any other error is a bug in the agent. */
function isExpected(error: unknown): boolean {
  const expected = [StateError, KernelError, SysError, PodNetworkError, PolicyError, WireError]
  return expected.some((type) => error instanceof type) || (error instanceof Error && 'errno' in error)
}

/** Explains why the CIDRs of a family have no free address, and what to do. */
function exhaustion(cidrs: readonly Prefix[]): AddRefusal {
  const small = cidrs.flatMap((cidr) => tooSmall(cidr) ?? [])
  if (small.length === cidrs.length)
    return { msg: small.map(({ message, remedy }) => `${message}; ${remedy}`).join('; '), details: '' }
  const which =
    cidrs.length === 1 ? `pod CIDR ${cidrs[0]} of this node is` : `pod CIDRs ${cidrs.join(', ')} of this node are`
  const count = cidrs.reduce((sum, cidr) => sum + poolOf(cidr).count, 0n)
  return {
    msg: `${which} exhausted: all ${count} addresses are in use`,
    details: 'delete pods from this node, or give it a larger pod CIDR; causeway ipam show lists who has them',
  }
}

function tooManyPods(why: string): AddRefusal {
  const details = 'delete pods from this node, and set maxPods of its kubelet below that number'
  return { msg: `this node has as many pods as it can: ${why}`, details }
}

export class CniHandler {
  readonly #store: EndpointStore
  readonly #datapaths: Datapaths
  readonly #datapath: () => DatapathName
  readonly #podNetwork: () => PodNetworkState
  readonly #removal: CniHandlerDeps['removal']
  readonly #namespaces: NamespaceFinder
  readonly #policies: CniHandlerDeps['policies']
  readonly #reclaim: () => number
  readonly #onChange: () => void
  readonly #log: Logger

  constructor(deps: CniHandlerDeps) {
    this.#store = deps.store
    this.#datapaths = deps.datapaths
    this.#datapath = deps.datapath
    this.#podNetwork = deps.podNetwork
    this.#removal = deps.removal
    this.#namespaces = deps.namespaces
    this.#policies = deps.policies
    this.#reclaim = deps.reclaim ?? (() => 0)
    this.#onChange = deps.onChange
    this.#log = deps.log
  }

  /**
   * Runs synchronously: calls cannot interleave, and a pass of the reconciler sees either all of a call's changes or none. `files` are
   * descriptors of the namespace at the request's path and of the folder that it is in; what is missing is found by the path.
   */
  handle(request: PodOperation, files: readonly number[] = []): CniReply {
    try {
      switch (request.kind) {
        case 'add':
          return this.#add(request, this.#namespaceOf(request.netns, files))
        case 'del':
          return this.#del(request, request.netns === undefined ? undefined : this.#namespaceOf(request.netns, files))
        case 'check':
          return this.#check(request, this.#namespaceOf(request.netns, files))
        case 'gc':
          return this.#collectGarbage(request)
      }
    } catch (error) {
      if (!isExpected(error)) throw error
      const about = 'containerId' in request ? `${request.kind} of ${attachmentKey(request)}` : request.kind
      return failure(CniErrorCode.ioFailure, `${about} failed`, messageOf(error))
    }
  }

  /** The namespace that a call is about. Its folder is kept, to find the pods in there later. */
  #namespaceOf(path: string, [fd, folder]: readonly number[]): NamespaceState {
    if (folder !== undefined) this.#namespaces.keepFolderOf(path, folder)
    return fd === undefined ? this.#namespaces.at(path) : this.#namespaces.ofFd(fd, path, folder)
  }

  /** The datapath that wired the attachment; for an unknown attachment, that of new pods, since all datapaths name veths alike. */
  #datapathOf(attachment: Attachment): Datapath {
    return this.#datapaths[this.#store.find(attachment)?.datapath ?? this.#datapath()]
  }

  #add(request: Of<'add'>, namespace: NamespaceState): CniReply {
    let attempt = this.#tryAdd(request, namespace)
    // what is gone for certain need not wait for the next look
    if (attempt.kind === 'full' && this.#reclaim() > 0) attempt = this.#tryAdd(request, namespace)
    if (attempt.kind !== 'full') return attempt
    return failure(CniErrorCode.tryAgainLater, attempt.refusal.msg, attempt.refusal.details)
  }

  #tryAdd(request: Of<'add'>, namespace: NamespaceState): Attempt {
    const state = this.#podNetwork()
    if (state.kind === 'absent') return noPodNetwork(state.why)
    const { network } = state
    if (namespace.kind === 'absent') return this.#noNamespace(request.netns)
    if (namespace.kind !== 'there') return failure(CniErrorCode.invalidEnvironment, `CNI_NETNS: ${namespace.why}`)
    if (namespace.id === ownNamespaceId())
      return failure(CniErrorCode.invalidEnvironment, `CNI_NETNS: ${request.netns} is the node's own namespace`)
    const asked = readPodRequest(request, network.podCIDRs)
    if (asked.kind === 'fault') return failure(CniErrorCode.invalidConfig, asked.message)
    // the device of an earlier ADD goes before its addresses are claimed anew; one that the store does not know, as the state file was lost,
    // gives way when the veth is made
    if (this.#store.find(request) !== undefined) this.#datapathOf(request).unwire({ hostDevice: hostDeviceOf(request) })
    const { containerId, ifName, network: networkName, netns, runtimeConfig } = request
    const claim: Claim = {
      containerId,
      ifName,
      network: networkName,
      netns,
      netnsId: namespace.id,
      pod: podNameOf(request),
      podUid: request.args.podUid ?? '',
      hostDevice: hostDeviceOf(request),
      datapath: this.#datapath(),
      bandwidth: runtimeConfig.bandwidth ?? {},
      portMappings: runtimeConfig.portMappings,
      requested: asked.addrs,
      ...(asked.mac !== undefined && { mac: asked.mac }),
    }
    const reservation = this.#store.reserve(claim, network.podCIDRs)
    if (reservation.kind === 'reserved') return this.#wire(request, reservation.endpoint, network, namespace.path)
    this.#datapathOf(request).unwire({ hostDevice: hostDeviceOf(request) })
    this.#store.release(request)
    return this.#refuse(reservation, claim.pod)
  }

  /** `path` is where the namespace can be opened now. */
  #wire(request: Of<'add'>, endpoint: Endpoint, network: PodNetwork, path: string): Attempt {
    const wire = (): void => this.#datapaths[endpoint.datapath].wire({ ...endpoint, netns: path }, network)
    try {
      // what the pod may send and receive is in the kernel before its device is
      this.#policies?.enforce(endpoint, addedPodOf(request))
      try {
        wire()
      } catch (error) {
        if (!(error instanceof InterfaceTakenError)) throw error
        // it may be one whose deletion is pending
        this.#removal.flush()
        wire()
      }
      this.#store.setState(endpoint, 'ready')
    } catch (error) {
      if (error instanceof InterfaceTakenError) {
        this.#store.release(request)
        this.#policies?.noteEndpoints()
        return failure(
          CniErrorCode.invalidEnvironment,
          `CNI_IFNAME: ${request.ifName} exists already in ${request.netns}`,
        )
      }
      if (!isExpected(error)) throw error
      const others = this.#undo(endpoint)
      if (error instanceof NodeFullError && others.length === 0)
        return { kind: 'full', refusal: tooManyPods(error.message) }
      if (error instanceof PolicyError) return notYet(endpoint.pod, [error.message, ...others].join('; '))
      const details = [messageOf(error), ...others].join('; ')
      return failure(CniErrorCode.ioFailure, `cannot set up the network of pod ${endpoint.pod}`, details)
    }
    this.#onChange()
    return { kind: 'result', result: resultOf(endpoint, network, request.prevResult) }
  }

  /** Undoes a failed ADD; returns the errors of doing so. The address stays claimed while a device may still have it. */
  #undo(endpoint: Endpoint): string[] {
    try {
      this.#datapaths[endpoint.datapath].unwire(endpoint)
      // at once for others: no pod has sent a packet with it
      this.#store.release(endpoint, true)
      return []
    } catch (error) {
      return [messageOf(error)]
    } finally {
      this.#policies?.noteEndpoints()
    }
  }

  #noNamespace(path: string): CniReply {
    return failure(CniErrorCode.unknownContainer, `network namespace ${path} is not there`)
  }

  #refuse(reservation: Exclude<Reservation, { kind: 'reserved' }>, pod: string): Attempt {
    if (reservation.kind === 'taken') {
      return failure(
        CniErrorCode.invalidConfig,
        `the ${reservation.what} that pod ${pod} requests belongs to pod ${reservation.pod}`,
      )
    }
    return { kind: 'full', refusal: exhaustion(reservation.cidrs) }
  }

  /**
   * The veth is unplugged first: when that fails, its addresses stay claimed and the runtime repeats the DEL. When the state file
   * cannot be written, the DEL succeeds all the same, as the pod's own files may be what fills the disk. Its addresses are then given
   * back by a later write, or after a restart by the search for leaked endpoints (endpoint-gc.ts).
   */
  #del(request: Of<'del'>, namespace: NamespaceState | undefined): CniReply {
    const netns = namespace?.kind === 'there' ? namespace.path : undefined
    this.#datapathOf(request).unplug({ hostDevice: hostDeviceOf(request), netns, ifName: request.ifName })
    try {
      this.#store.release(request)
    } catch (error) {
      if (!(error instanceof StateError)) throw error
      this.#log.error('addresses of a deleted pod stay claimed for now', {
        containerId: request.containerId,
        error: messageOf(error),
      })
    }
    this.#onChange()
    return ok
  }

  #check(request: Of<'check'>, namespace: NamespaceState): CniReply {
    const state = this.#podNetwork()
    if (state.kind === 'absent') return noPodNetwork(state.why)
    const { network } = state
    const endpoint = this.#store.find(request)
    if (endpoint === undefined)
      return failure(CniErrorCode.unknownContainer, `${attachmentKey(request)} is not known on this node`)
    if (namespace.kind === 'absent') return this.#noNamespace(request.netns)
    if (namespace.kind !== 'there') return failure(CniErrorCode.invalidEnvironment, `CNI_NETNS: ${namespace.why}`)
    const isOther = isAnother(namespace.id, endpoint.netnsId)
    const faults = [
      ...(isOther ? [`${request.netns} is another namespace than at the ADD`] : []),
      ...this.#datapaths[endpoint.datapath].check({ ...endpoint, netns: namespace.path }, network, request.prevResult),
    ]
    if (faults.length === 0) return ok
    return failure(
      CniErrorCode.ioFailure,
      `the network of pod ${endpoint.pod} is not as it was made`,
      faults.join('; '),
    )
  }

  #collectGarbage({ network, validAttachments }: Of<'gc'>): CniReply {
    // without the list, every attachment counts as valid
    if (validAttachments === undefined) return ok
    const valid = new Set(validAttachments.map(attachmentKey))
    // the list covers only the attachments of its own network
    const stale = this.#store
      .list()
      .filter((endpoint) => endpoint.network === network && !valid.has(attachmentKey(endpoint)))
    const failures: string[] = []
    for (const endpoint of stale) {
      try {
        const namespace = this.#namespaces.at(endpoint.netns)
        const netns = namespace.kind === 'there' ? namespace.path : undefined
        this.#datapaths[endpoint.datapath].unplug({ ...endpoint, netns })
        this.#store.release(endpoint)
      } catch (error) {
        failures.push(`${endpoint.pod}: ${messageOf(error)}`)
      }
    }
    if (stale.length > 0) this.#onChange()
    return failures.length === 0
      ? ok
      : failure(CniErrorCode.ioFailure, 'some attachments could not be removed', failures.join('; '))
  }

  /** Why no pod could ever get an address although there is a pod network; undefined when pods can. */
  shortage({ podCIDRs }: PodNetwork): AddRefusal | undefined {
    const unwritable = this.#store.trouble()
    if (unwritable !== undefined) return { msg: 'no address can be given', details: unwritable }
    const unusable = byFamily(podCIDRs).find(([, cidrs]) => cidrs.every((cidr) => tooSmall(cidr) !== undefined))
    return unusable && exhaustion(unusable[1])
  }

  /** Why there is room for no other pod until one goes; undefined while there is, or when no pod gets an address at all. */
  fullness(network: PodNetwork): AddRefusal | undefined {
    if (this.shortage(network) !== undefined) return undefined
    const name = this.#datapath()
    const { limit, podDevice } = datapathKinds[name]
    // pods of another datapath may hang on the same device
    const counted = datapathNames.filter((each) => datapathKinds[each].podDevice === podDevice)
    const count = counted.reduce((sum, each) => sum + this.#store.countOf(each), 0)
    if (limit !== undefined && count >= limit.pods) return tooManyPods(limit.why)
    const full = byFamily(network.podCIDRs).find(([, cidrs]) =>
      cidrs.every((cidr) => BigInt(this.#store.usedIn(cidr)) >= poolOf(cidr).count),
    )
    return full && exhaustion(full[1])
  }
}
