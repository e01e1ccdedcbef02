// A node as far as CNI calls need one: a namespace with the bridge, a state file, a handler. Gone afterwards.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CniHandler, type PodOperation } from '#/agent/pods/cni-handler.ts'
import { CniStatus } from '#/agent/pods/cni-status.ts'
import { EndpointStore } from '#/agent/endpoints/endpoint-store.ts'
import { readinessOf } from '#/agent/report/readiness.ts'
import { Announcer } from '#/datapath/announcer.ts'
import { type PodNetwork, type PodNetworkState } from '#/datapath/datapath.ts'
import { type Datapaths, openDatapaths } from '#/datapath/registry.ts'
import { unwirePod } from '#/datapath/veth.ts'
import { VethRemoval } from '#/datapath/veth-removal.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type CniReply, type CniResult, encodeResult, parseCniRequest } from '#/wire/cni/index.ts'
import { problem } from '#/model/problems.ts'
import { type AddRefusal } from '#/model/readiness.ts'
import { NamespaceFinder } from '#/sys/namespaces.ts'
import { TestNetns } from './namespace.ts'

/** A /29 has room for five pods. */
export const podNetwork: PodNetwork = {
  podCIDRs: [Prefix.parse('10.244.1.0/29'), Prefix.parse('fd10:244:0:1::/64')],
  overlay: [{ dst: Prefix.parse('10.244.0.0/16'), mtuBytes: 1450 }],
  deviceMtuBytes: 1500,
}

/** Datapaths that delete veths within the call, so that a test can look at once; how the agent does it is veth-removal.test.ts's. */
export function atOnce(
  netlink: Netlink,
  announcer: Pick<Announcer, 'announce'> = { announce() {} },
): {
  readonly datapaths: Datapaths
  readonly removal: Pick<VethRemoval, 'flush'>
} {
  const flush = (): void => {
    using aside = new AsyncNetlink()
    new VethRemoval({ netlink, aside, log: silent }).flush()
  }
  const datapaths = openDatapaths({ netlink, removal: { unplug: (pod) => unwirePod(netlink, pod) }, announcer })
  return { datapaths, removal: { flush } }
}

export const thereIs = (network: PodNetwork): PodNetworkState => ({ kind: 'there', network })

export type RequestOptions = {
  readonly config?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
}

/** One CNI call about the interface eth0, as the shim brings it; any but STATUS. */
export function request(
  command: string,
  id: string,
  netns: string,
  { config, env }: RequestOptions = {},
): PodOperation {
  const all = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/',
    CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${id}`,
    ...env,
  }
  const stdin = { cniVersion: '1.1.0', name: 'causeway', type: 'causeway-cni', ...config }
  const parsed = parseCniRequest(new Map(Object.entries(all)), new TextEncoder().encode(JSON.stringify(stdin)))
  assert.ok(parsed.kind !== 'error' && parsed.kind !== 'version' && parsed.kind !== 'status', JSON.stringify(parsed))
  return parsed
}

export function codeOf(reply: CniReply): number {
  return reply.kind === 'error' ? reply.error.code : 0
}

/** "msg: details" of an error. */
export function messageIn(reply: CniReply): string {
  return reply.kind === 'error' ? `${reply.error.msg}: ${reply.error.details}` : ''
}

/** A result as a runtime sends it back. */
export function prevResultOf(result: CniResult): Record<string, unknown> {
  return JSON.parse(encodeResult(result, '1.1.0')) as Record<string, unknown>
}

export class PodNode implements Disposable {
  readonly host = new TestNetns()
  readonly netlink = new Netlink(0, this.host.netns)
  readonly folder = mkdtempSync(join(tmpdir(), 'causeway-node-'))
  readonly store: EndpointStore
  network: PodNetwork | string = podNetwork
  /** Containers whose endpoints are leaked for certain; one at a time is released when the node is full. */
  leaked: string[] = []
  /** What ails a route of this node. */
  trouble: string | undefined
  nowMs = 0
  readonly announcer = new Announcer({ netns: this.host.netns, log: silent })
  readonly datapaths: Datapaths
  readonly namespaces = new NamespaceFinder()
  readonly handler: CniHandler
  readonly status: CniStatus

  constructor({ stateDir = this.folder, mayLack = false }: { stateDir?: string; mayLack?: boolean } = {}) {
    this.store = new EndpointStore(join(stateDir, 'endpoints.sqlite'), { coolDownMs: 0, mayLack })
    const { datapaths, removal } = atOnce(this.netlink, this.announcer)
    this.datapaths = datapaths
    this.handler = new CniHandler({
      store: this.store,
      datapaths,
      datapath: () => 'bridge',
      podNetwork: () => this.state,
      removal,
      reclaim: () => this.#reclaim(),
      namespaces: this.namespaces,
      onChange() {},
      log: silent,
    })
    this.status = new CniStatus(
      () =>
        readinessOf({
          nodeName: 'node-1',
          podNetwork: this.state,
          policyRefusal: undefined,
          shortage: this.state.kind === 'there' ? this.handler.shortage(this.state.network) : undefined,
          failures:
            this.trouble === undefined
              ? []
              : [
                  {
                    kind: 'route',
                    key: '10.244.2.0/24',
                    state: 'error',
                    message: this.trouble,
                    sinceMs: 0,
                    attempts: 1,
                  },
                ],
          isolation: undefined,
          cuts: [],
          untoldRouting: undefined,
          passError: undefined,
          problems: this.full === undefined ? [] : [problem('CW3112', 'node/node-1', this.full.msg)],
        }),
      () => this.nowMs,
    )
    this.host.sh(`ip link add name cw-br0 address 02:43:00:00:00:01 type bridge; ip link set cw-br0 up
      ip addr add 10.244.1.1/29 dev cw-br0; ip addr add fd10:244:0:1::1/64 dev cw-br0 nodad`)
  }

  get state(): PodNetworkState {
    return typeof this.network === 'string' ? { kind: 'absent', why: this.network } : thereIs(this.network)
  }

  #reclaim(): number {
    const containerId = this.leaked.pop()
    if (containerId === undefined) return 0
    this.store.release({ containerId, ifName: 'eth0' })
    return 1
  }

  /** Why there is room for no other pod. */
  get full(): AddRefusal | undefined {
    return this.state.kind === 'there' ? this.handler.fullness(this.state.network) : undefined
  }

  /** `files` in the options are descriptors that come with the call. */
  call(
    command: string,
    id: string,
    netns: string,
    { files, ...options }: RequestOptions & { files?: readonly number[] } = {},
  ): CniReply {
    if (command === 'STATUS') return this.status.reply()
    return this.handler.handle(request(command, id, netns, options), files)
  }

  /** An ADD that must succeed. */
  add(id: string, netns: string, options: RequestOptions = {}): CniResult {
    const reply = this.call('ADD', id, netns, options)
    assert.ok(reply.kind === 'result', messageIn(reply))
    return reply.result
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]()
    this.namespaces[Symbol.dispose]()
    this.announcer[Symbol.dispose]()
    this.netlink[Symbol.dispose]()
    this.host[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
