// What a CNI call does: addresses from the store, the pod's network in the kernel, and the answer.
// Order matters for a kill at any line: an address is claimed on disk before it is used and given back only after the
// device that used it is unplugged.
import { type Prefix } from '#/lib/addr.ts'
import { WireError } from '#/lib/bytes.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { KernelError, type Netlink } from '#/kernel/netlink.ts'
import { byFamily, poolOf, tooSmall } from '#/plan/allocate.ts'
import { SysError } from '#/sys/libc.ts'
import { attachmentKey, type CniOperation, type CniReply, CniErrorCode } from '#/wire/cni/index.ts'
import { resultOf } from './cni-result.ts'
import { type Claim, type Endpoint, type EndpointStore, type Reservation } from './endpoints.ts'
import { StateError } from './state-file.ts'
import { isAnother, namespaceAt, ownNamespaceId } from './namespaces.ts'
import { faultsOf } from './pod-check.ts'
import { hasDevice, hostDeviceOf, type PodNetwork, PodNetworkError, unwirePod, wirePod } from './pod-network.ts'
import { readPodRequest } from './pod-request.ts'
import { type VethRemoval } from './veth-removal.ts'

export type CniHandlerDeps = {
  readonly netlink: Netlink
  readonly store: EndpointStore
  /** What pods get now; a text saying why not, while the node has no network yet. */
  readonly podNetwork: () => PodNetwork | string
  /** Cuts a deleted pod off; its device may take a moment longer. */
  readonly removal: Pick<VethRemoval, 'unplug' | 'flush'>
  /** Why pods that run may not reach all others; undefined when nothing is known to be wrong. */
  readonly trouble: () => string | undefined
  /** Called after pods came or went. */
  readonly onChange: () => void
  readonly log: Logger
}

type Of<K extends CniOperation['kind']> = Extract<CniOperation, { kind: K }>

const ok: CniReply = { kind: 'ok' }

function failure(code: number, msg: string, details = ''): CniReply {
  return { kind: 'error', error: { code, msg, details } }
}

function podNameOf({ args, containerId }: Of<'add'>): string {
  return args.podName ? `${args.podNamespace ?? 'default'}/${args.podName}` : containerId
}

/** What the outside can do to us; anything else is a bug. */
function isExpected(error: unknown): boolean {
  const expected = [StateError, KernelError, SysError, PodNetworkError, WireError]
  return expected.some((type) => error instanceof type) || (error instanceof Error && 'errno' in error)
}

/** Why the CIDRs of a family have no address left, and what to do. */
function exhaustion(cidrs: readonly Prefix[]): [msg: string, details: string] {
  const small = cidrs.flatMap((cidr) => tooSmall(cidr) ?? [])
  if (small.length === cidrs.length) return [small.map(({ message, remedy }) => `${message}; ${remedy}`).join('; '), '']
  const which =
    cidrs.length === 1 ? `pod CIDR ${cidrs[0]} of this node is` : `pod CIDRs ${cidrs.join(', ')} of this node are`
  const count = cidrs.reduce((sum, cidr) => sum + poolOf(cidr).count, 0n)
  return [
    `${which} exhausted: all ${count} addresses are in use`,
    'delete pods from this node, or give it a larger pod CIDR; causeway ipam show lists who has them',
  ]
}

export class CniHandler {
  readonly #netlink: Netlink
  readonly #store: EndpointStore
  readonly #podNetwork: () => PodNetwork | string
  readonly #removal: CniHandlerDeps['removal']
  readonly #trouble: () => string | undefined
  readonly #onChange: () => void
  readonly #log: Logger

  constructor(deps: CniHandlerDeps) {
    this.#netlink = deps.netlink
    this.#store = deps.store
    this.#podNetwork = deps.podNetwork
    this.#removal = deps.removal
    this.#trouble = deps.trouble
    this.#onChange = deps.onChange
    this.#log = deps.log
  }

  /** Runs to its end without giving up control: calls cannot interleave, and a pass of the reconciler sees all or nothing. */
  handle(request: CniOperation): CniReply {
    const started = performance.now()
    const reply = this.#dispatch(request)
    const about = 'containerId' in request ? { containerId: request.containerId, ifName: request.ifName } : {}
    this.#log.info(`CNI ${request.kind}`, {
      ...about,
      durationMs: Math.round((performance.now() - started) * 10) / 10,
      result: reply.kind === 'error' ? `${reply.error.code}: ${reply.error.msg}` : 'ok',
    })
    return reply
  }

  #dispatch(request: CniOperation): CniReply {
    try {
      switch (request.kind) {
        case 'add':
          return this.#add(request)
        case 'del':
          return this.#del(request)
        case 'check':
          return this.#check(request)
        case 'gc':
          return this.#collectGarbage(request)
        case 'status':
          return this.#status()
      }
    } catch (error) {
      if (!isExpected(error)) throw error
      const about = 'containerId' in request ? `${request.kind} of ${attachmentKey(request)}` : request.kind
      return failure(CniErrorCode.ioFailure, `${about} failed`, messageOf(error))
    }
  }

  #add(request: Of<'add'>): CniReply {
    const network = this.#podNetwork()
    if (typeof network === 'string')
      return failure(CniErrorCode.tryAgainLater, 'the node has no pod network yet', network)
    const namespace = namespaceAt(request.netns)
    if (namespace.kind === 'absent') return this.#noNamespace(request.netns)
    if (namespace.kind !== 'there') return failure(CniErrorCode.invalidEnvironment, `CNI_NETNS: ${namespace.why}`)
    if (namespace.id === ownNamespaceId())
      return failure(CniErrorCode.invalidEnvironment, `CNI_NETNS: ${request.netns} is the node's own namespace`)
    const asked = readPodRequest(request, network.podCIDRs)
    if (asked.kind === 'fault') return failure(CniErrorCode.invalidConfig, asked.message)
    // what a first attempt of this very attachment left goes first, whether the store knows of it or has been lost since:
    // it may hold the interface's name in the namespace
    unwirePod(this.#netlink, { hostDevice: hostDeviceOf(request) })
    if (this.#isTaken(request)) {
      this.#store.release(request)
      return failure(
        CniErrorCode.invalidEnvironment,
        `CNI_IFNAME: ${request.ifName} exists already in ${request.netns}`,
      )
    }
    const { containerId, ifName, network: networkName, netns, runtimeConfig } = request
    const claim: Claim = {
      containerId,
      ifName,
      network: networkName,
      netns,
      netnsId: namespace.id,
      pod: podNameOf(request),
      hostDevice: hostDeviceOf(request),
      bandwidth: runtimeConfig.bandwidth ?? {},
      requested: asked.addrs,
      ...(asked.mac !== undefined && { mac: asked.mac }),
    }
    const reservation = this.#store.reserve(claim, network.podCIDRs)
    if (reservation.kind === 'reserved') return this.#wire(request, reservation.endpoint, network)
    this.#store.release(request)
    return this.#refuse(reservation, claim.pod)
  }

  /** Whether the namespace has an interface of that name. That of a pod which was just deleted is on its way out. */
  #isTaken({ netns, ifName }: Of<'add'>): boolean {
    if (!hasDevice(netns, ifName)) return false
    this.#removal.flush()
    return hasDevice(netns, ifName)
  }

  #wire(request: Of<'add'>, endpoint: Endpoint, network: PodNetwork): CniReply {
    try {
      wirePod(this.#netlink, endpoint, network)
      this.#store.markReady(endpoint)
    } catch (error) {
      if (!isExpected(error)) throw error
      const details = [messageOf(error), ...this.#undo(endpoint)].join('; ')
      return failure(CniErrorCode.ioFailure, `cannot set up the network of pod ${endpoint.pod}`, details)
    }
    this.#onChange()
    return { kind: 'result', result: resultOf(endpoint, network, request.prevResult) }
  }

  /** Takes back what a failed ADD made; says what it could not. The address stays claimed while a device may have it. */
  #undo(endpoint: Endpoint): string[] {
    try {
      unwirePod(this.#netlink, endpoint)
      this.#store.release(endpoint)
      return []
    } catch (error) {
      return [messageOf(error)]
    }
  }

  #noNamespace(path: string): CniReply {
    return failure(CniErrorCode.unknownContainer, `network namespace ${path} is not there`)
  }

  #refuse(reservation: Exclude<Reservation, { kind: 'reserved' }>, pod: string): CniReply {
    if (reservation.kind === 'taken') {
      return failure(
        CniErrorCode.invalidConfig,
        `the ${reservation.what} that pod ${pod} requests belongs to pod ${reservation.pod}`,
      )
    }
    return failure(CniErrorCode.tryAgainLater, ...exhaustion(reservation.cidrs))
  }

  /**
   * The veth is unplugged first: while that fails its addresses stay claimed, and the runtime comes again. A state file that
   * cannot be written is no reason to keep the pod, whose files may be what fills the disk: the addresses are given back
   * later, and after a restart by comparing with the live namespaces.
   */
  #del(request: Of<'del'>): CniReply {
    const { netns, ifName } = request
    this.#removal.unplug({ hostDevice: hostDeviceOf(request), netns, ifName })
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

  #check(request: Of<'check'>): CniReply {
    const network = this.#podNetwork()
    if (typeof network === 'string')
      return failure(CniErrorCode.tryAgainLater, 'the node has no pod network yet', network)
    const endpoint = this.#store.find(request)
    if (endpoint === undefined)
      return failure(CniErrorCode.unknownContainer, `${attachmentKey(request)} is not known on this node`)
    const namespace = namespaceAt(request.netns)
    if (namespace.kind === 'absent') return this.#noNamespace(request.netns)
    if (namespace.kind !== 'there') return failure(CniErrorCode.invalidEnvironment, `CNI_NETNS: ${namespace.why}`)
    const isOther = isAnother(namespace.id, endpoint.netnsId)
    const faults = [
      ...(isOther ? [`${request.netns} is another namespace than at the ADD`] : []),
      ...faultsOf(this.#netlink, { ...endpoint, netns: request.netns }, network, request.prevResult),
    ]
    if (faults.length === 0) return ok
    return failure(
      CniErrorCode.ioFailure,
      `the network of pod ${endpoint.pod} is not as it was made`,
      faults.join('; '),
    )
  }

  #collectGarbage({ network, validAttachments }: Of<'gc'>): CniReply {
    // an absent list says nothing about what is valid
    if (validAttachments === undefined) return ok
    const valid = new Set(validAttachments.map(attachmentKey))
    // and one network's list nothing about another's attachments
    const stale = this.#store
      .list()
      .filter((endpoint) => endpoint.network === network && !valid.has(attachmentKey(endpoint)))
    const failures: string[] = []
    for (const endpoint of stale) {
      try {
        this.#removal.unplug(endpoint)
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

  /** A runtime that asks takes any error for a node without network, and drives its pods away: so it is ADD alone that counts. */
  #status(): CniReply {
    const why = this.#whyNoAdd()
    if (why === undefined) return ok
    const trouble = this.#trouble()
    const [msg, details] = why
    return trouble === undefined
      ? failure(CniErrorCode.notAvailable, msg, details)
      : failure(CniErrorCode.limitedConnectivity, `${msg}, and pods may not reach all others`, `${details}\n${trouble}`)
  }

  #whyNoAdd(): [msg: string, details: string] | undefined {
    const network = this.#podNetwork()
    if (typeof network === 'string') return ['the node has no pod network yet', network]
    const unwritable = this.#store.trouble()
    if (unwritable !== undefined) return ['no address can be given', unwritable]
    for (const [, cidrs] of byFamily(network.podCIDRs)) {
      if (cidrs.every((cidr) => BigInt(this.#store.usedIn(cidr)) >= poolOf(cidr).count)) return exhaustion(cidrs)
    }
    return undefined
  }
}
