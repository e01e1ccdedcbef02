// Serves `causeway ipam`: which pod holds which address and why, where store and kernel disagree, and the release of an address
// by hand. It is part of the agent, because only the agent may write the store.
import { setImmediate } from 'node:timers/promises'
import {
  type AddressRow,
  type CidrRow,
  type IpamFindings,
  type IpamReport,
  type ReleaseReport,
  type ReleaseRequest,
} from '#/api/schemas/ipam.ts'
import { Addr, type Prefix } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Datapaths } from '#/datapath/registry.ts'
import { listAddresses } from '#/kernel/addresses.ts'
import { findLink, listLinks } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { isOwnLink, isPodDevice } from '#/model/names.ts'
import { type ProblemCode } from '#/model/problem-catalogue.ts'
import { oneOfEach, type Problem, problem } from '#/model/problems.ts'
import { isInPool, poolOf } from '#/plan/allocate.ts'
import { NETLINK_ROUTE } from '#/sys/netlink-socket.ts'
import { Netns } from '#/sys/netns.ts'
import { leakOf } from './endpoint-gc.ts'
import { type Endpoint, type EndpointStore } from './endpoint-store.ts'
import { type Answer } from '../report/http-api.ts'
import { isAnother, type NamespaceFinder } from '#/sys/namespaces.ts'

export type IpamDeps = {
  readonly store: EndpointStore
  readonly netlink: Netlink
  readonly datapaths: Datapaths
  readonly namespaces: NamespaceFinder
  /** The pod CIDRs that new pods get addresses from now. */
  readonly podCIDRs: () => readonly Prefix[]
  readonly leaksReleased: () => number
  /** Whether a veth belongs to a deleted pod and will be deleted soon. */
  readonly isLeaving: (hostDevice: string) => boolean
  readonly onChange: () => void
  readonly log: Logger
}

function addrsOf({ addrs }: Endpoint): string[] {
  return addrs.map(({ addr }) => String(addr))
}

/** Whether two endpoints are in one namespace, as two containers can be. */
function isSameNamespace(one: Endpoint, other: Endpoint): boolean {
  return one.netns === other.netns || (one.netnsId !== '' && one.netnsId === other.netnsId)
}

export class Ipam {
  readonly #deps: IpamDeps

  constructor(deps: IpamDeps) {
    this.#deps = deps
  }

  /** Lists the pod CIDRs, and each address with the pod that holds it. */
  show(): IpamReport {
    const { store, leaksReleased } = this.#deps
    const endpoints = store.list()
    const resting = store.resting()
    const coolingDown = resting.map(({ addr, pod, restedMs }): AddressRow => ({
      addr: String(addr),
      state: 'cooling down',
      pod,
      why: `given back ${Math.round(restedMs / 1000)} s ago`,
    }))
    return {
      cidrs: this.cidrs,
      addresses: [...endpoints.flatMap((endpoint) => this.#rowsOf(endpoint)), ...coolingDown],
      leaksReleased: leaksReleased(),
    }
  }

  /** The pod CIDRs, with how many of their addresses are free. */
  get cidrs(): CidrRow[] {
    const { store } = this.#deps
    const resting = store.resting()
    return this.#deps.podCIDRs().map((cidr) => {
      const { count } = poolOf(cidr)
      const used = BigInt(store.usedIn(cidr))
      const rests = BigInt(resting.filter(({ addr }) => isInPool(cidr, addr)).length)
      const counts = { total: count, used, coolingDown: rests, free: count - used - rests }
      const texts = Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, String(value)]))
      return { cidr: String(cidr), ...(texts as Omit<CidrRow, 'cidr'>) }
    })
  }

  #leakOf(endpoint: Endpoint): string | undefined {
    return leakOf(this.#deps.netlink, this.#deps.namespaces, endpoint)
  }

  #rowsOf(endpoint: Endpoint): AddressRow[] {
    const { containerId, ifName, netns, pod, createdMs } = endpoint
    const leak = this.#leakOf(endpoint)
    const isDone = endpoint.state === 'ready' || endpoint.state === 'leaving'
    const state = !isDone ? 'being set up' : leak === undefined ? 'in use' : 'leaked'
    const current = this.#deps.podCIDRs()
    return endpoint.addrs.map(({ addr, cidr }) => {
      const isFormer = !current.some((each) => each.equals(cidr))
      const why = [leak, isFormer && `from ${cidr}, which new pods get no addresses from`].filter(Boolean).join('; ')
      return {
        addr: String(addr),
        state,
        pod,
        cidr: String(cidr),
        containerId,
        ifName,
        netns,
        since: new Date(createdMs).toISOString(),
        ...(why !== '' && { why }),
      }
    })
  }

  /** Finds where store and kernel disagree, each with a remedy. Yields to the event loop after every pod. */
  async check(): Promise<IpamFindings> {
    const { store, netlink } = this.#deps
    const endpoints = store.list()
    const findings: Problem[] = []
    const trouble = store.trouble()
    if (trouble !== undefined) findings.push(problem('CW3101', 'file/endpoints.sqlite', trouble))
    for (const link of listLinks(netlink)) {
      const { name } = link
      if (!isPodDevice(name) || !isOwnLink(link) || store.hasDevice(name) || this.#deps.isLeaving(name)) continue
      findings.push(problem('CW3102', `device/${name}`, 'no pod has this veth'))
    }
    const holders = new Map(endpoints.flatMap((endpoint) => addrsOf(endpoint).map((addr) => [addr, endpoint])))
    for (const endpoint of endpoints) {
      findings.push(...this.#findingsOf(endpoint, holders))
      await setImmediate()
    }
    return { endpoints: endpoints.length, findings: oneOfEach(findings) }
  }

  #findingsOf(endpoint: Endpoint, holders: ReadonlyMap<string, Endpoint>): Problem[] {
    const { netlink } = this.#deps
    const found = (code: ProblemCode, message: string, remedy?: string): Problem[] => [
      problem(code, `pod/${endpoint.pod}`, message, remedy === undefined ? {} : { remedy }),
    ]
    const [addr] = addrsOf(endpoint)
    const leak = this.#leakOf(endpoint)
    if (leak !== undefined)
      return found(
        'CW3103',
        `${addrsOf(endpoint).join(' ')} leaked, ${leak}`,
        `wait, as the agent releases it within two minutes, or do it now: causeway ipam release ${addr}`,
      )
    const namespace = this.#deps.namespaces.at(endpoint.netns)
    const hasVeth = findLink(netlink, endpoint.hostDevice) !== undefined
    if (namespace.kind !== 'there' || isAnother(namespace.id, endpoint.netnsId)) {
      const how = hasVeth ? 'its namespace lives on under another name or none' : 'nobody can tell whether it lives'
      return found(
        'CW3104',
        `${endpoint.netns} is not its namespace, and ${how}`,
        `delete the pod; if there is none of that name any more, causeway ipam release ${addr} --force, which takes the network from it should it live`,
      )
    }
    if (hasVeth) return this.#insideOf(namespace.path, endpoint, holders)
    return found('CW3105', `its veth ${endpoint.hostDevice} is gone`)
  }

  /** `path` is where the pod's namespace can be opened now. */
  #insideOf(path: string, endpoint: Endpoint, holders: ReadonlyMap<string, Endpoint>): Problem[] {
    const object = `pod/${endpoint.pod}`
    try {
      using netns = new Netns(path)
      using inside = new Netlink(NETLINK_ROUTE, netns)
      const present = new Set(listAddresses(inside).map(({ addr }) => String(addr)))
      const missing = addrsOf(endpoint).filter((addr) => !present.has(addr))
      const foreign = [...present].filter((addr) => {
        const holder = holders.get(addr)
        return holder !== undefined && holder.pod !== endpoint.pod && !isSameNamespace(holder, endpoint)
      })
      return [
        ...missing.map((addr) =>
          problem('CW3106', object, `${addr} is not on its ${endpoint.ifName}: somebody removed it`),
        ),
        ...foreign.map((addr) =>
          problem('CW3107', object, `it has ${addr}, which belongs to pod ${holders.get(addr)?.pod}`),
        ),
      ]
    } catch (error) {
      return [problem('CW3108', object, `its namespace cannot be read: ${messageOf(error)}`)]
    }
  }

  /** Releases an address at an operator's request, together with the other addresses of its pod. */
  release({ addr: text, force }: ReleaseRequest): Answer<ReleaseReport> {
    const addr = Addr.parse(text)
    const { store, datapaths, onChange, log } = this.#deps
    const endpoint = store.list().find((each) => addrsOf(each).includes(String(addr)))
    if (endpoint === undefined) {
      const rests = store.resting().some((each) => each.addr.equals(addr))
      return { status: 404, body: `no pod of this node has ${addr}${rests ? '; it is cooling down already' : ''}\n` }
    }
    const leak = this.#leakOf(endpoint)
    if (leak === undefined && force !== true) {
      const why = `${addr} is in use: the namespace of pod ${endpoint.pod} lives; delete the pod, or take its network away with --force`
      return { status: 409, body: `${why}\n` }
    }
    datapaths[endpoint.datapath].unwire(endpoint)
    store.release(endpoint)
    onChange()
    const addrs = addrsOf(endpoint)
    const message = `${leak ?? 'taken by force from a pod that lives, which has no network now'}; its veth is gone, its addresses cool down`
    log.warn('address released by hand', { pod: endpoint.pod, addrs, why: message })
    return { status: 200, body: { pod: endpoint.pod, addrs, message } }
  }
}
