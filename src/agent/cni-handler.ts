// What a CNI call does: addresses from the store, the pod's network in the kernel, and the answer.
// Order matters for a kill at any line: an address is claimed on disk before it is used and given back only after the
// device that used it is gone.
import { existsSync } from 'node:fs'
import { type Prefix } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { poolOf } from '#/plan/allocate.ts'
import { type CniOperation, type CniReply, CniErrorCode, type CniResult, attachmentKey } from '#/wire/cni/index.ts'
import { type Endpoint, type EndpointStore, type Reservation } from './endpoints.ts'
import { faultsOf, hasDevice, hostDeviceOf, macOf, type PodNetwork, unwirePod, wirePod } from './pod-network.ts'

export type CniHandlerDeps = {
  readonly netlink: Netlink
  readonly store: EndpointStore
  /** What pods get now; a text saying why not, while the node has no network yet. */
  readonly podNetwork: () => PodNetwork | string
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

function resultOf(endpoint: Endpoint, network: PodNetwork): CniResult {
  const cidrOf = (addr: Endpoint['addrs'][number]): Prefix => network.podCIDRs.find((cidr) => cidr.contains(addr))!
  return {
    interfaces: [
      { name: endpoint.hostDevice },
      { name: endpoint.ifName, mac: macOf(endpoint), mtu: network.deviceMtuBytes, sandbox: endpoint.netns },
    ],
    ips: endpoint.addrs.map((address) => {
      const cidr = cidrOf(address)
      return { address, prefixLength: cidr.length, gateway: cidr.at(1), interface: 1 }
    }),
    routes: [],
  }
}

export class CniHandler {
  readonly #netlink: Netlink
  readonly #store: EndpointStore
  readonly #podNetwork: () => PodNetwork | string
  readonly #onChange: () => void
  readonly #log: Logger

  constructor(deps: CniHandlerDeps) {
    this.#netlink = deps.netlink
    this.#store = deps.store
    this.#podNetwork = deps.podNetwork
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
  }

  #add(request: Of<'add'>): CniReply {
    const network = this.#podNetwork()
    if (typeof network === 'string')
      return failure(CniErrorCode.tryAgainLater, 'the node has no pod network yet', network)
    if (!existsSync(request.netns)) {
      return failure(CniErrorCode.unknownContainer, `network namespace ${request.netns} is not there`)
    }
    const pod = podNameOf(request)
    const wanted = {
      containerId: request.containerId,
      ifName: request.ifName,
      netns: request.netns,
      pod,
      hostDevice: hostDeviceOf(request),
    }
    // what a first attempt of this very attachment left goes first: it may hold the interface's name in the namespace
    const before = this.#store.find(request)
    if (before) unwirePod(this.#netlink, before)
    if (hasDevice(request.netns, request.ifName)) {
      return failure(
        CniErrorCode.invalidEnvironment,
        `CNI_IFNAME: ${request.ifName} exists already in ${request.netns}`,
      )
    }
    const requested = request.requestedIps.map(({ address }) => address)
    const stray = requested.find((addr) => !network.podCIDRs.some((cidr) => cidr.contains(addr)))
    if (stray) {
      return failure(
        CniErrorCode.invalidConfig,
        `the requested address ${stray} is in no pod CIDR of this node (${network.podCIDRs.join(', ')})`,
      )
    }
    const reservation = this.#store.reserve(wanted, network.podCIDRs, requested)
    if (reservation.kind !== 'reserved') return this.#refuse(reservation, pod)
    try {
      wirePod(this.#netlink, reservation.endpoint, network)
    } catch (error) {
      this.#store.release(request)
      return failure(CniErrorCode.ioFailure, `cannot set up the network of pod ${pod}`, messageOf(error))
    }
    this.#store.markReady(request)
    this.#onChange()
    return { kind: 'result', result: resultOf(reservation.endpoint, network) }
  }

  #refuse(reservation: Exclude<Reservation, { kind: 'reserved' }>, pod: string): CniReply {
    if (reservation.kind === 'taken') {
      return failure(
        CniErrorCode.invalidConfig,
        `the address ${reservation.addr} that pod ${pod} requests belongs to pod ${reservation.pod}`,
      )
    }
    return failure(
      CniErrorCode.tryAgainLater,
      `pod CIDR ${reservation.cidr} of this node is exhausted: all ${poolOf(reservation.cidr).count} addresses are in use`,
      'delete pods from this node, or give it a larger pod CIDR',
    )
  }

  #del(request: Of<'del'>): CniReply {
    unwirePod(this.#netlink, { hostDevice: hostDeviceOf(request) })
    this.#store.release(request)
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
    if (!existsSync(request.netns)) {
      return failure(CniErrorCode.unknownContainer, `network namespace ${request.netns} is not there`)
    }
    const told = new Set(request.prevResult.ips.map(({ address }) => String(address)))
    const faults = [
      ...endpoint.addrs.filter((addr) => !told.has(String(addr))).map((addr) => `prevResult lacks its address ${addr}`),
      ...faultsOf(this.#netlink, { ...endpoint, netns: request.netns }, network),
    ]
    if (faults.length === 0) return ok
    return failure(
      CniErrorCode.ioFailure,
      `the network of pod ${endpoint.pod} is not as it was made`,
      faults.join('; '),
    )
  }

  #collectGarbage({ validAttachments }: Of<'gc'>): CniReply {
    // an absent list says nothing about what is valid
    if (validAttachments === undefined) return ok
    const valid = new Set(validAttachments.map(attachmentKey))
    const stale = this.#store.list().filter((endpoint) => !valid.has(attachmentKey(endpoint)))
    const failures: string[] = []
    for (const endpoint of stale) {
      try {
        unwirePod(this.#netlink, endpoint)
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

  #status(): CniReply {
    const network = this.#podNetwork()
    if (typeof network === 'string')
      return failure(CniErrorCode.notAvailable, 'the node has no pod network yet', network)
    const full = network.podCIDRs.find((cidr) => BigInt(this.#store.usedIn(cidr)) >= poolOf(cidr).count)
    return full ? failure(CniErrorCode.notAvailable, `pod CIDR ${full} of this node is exhausted`) : ok
  }
}
