// A node as far as CNI calls need one: a namespace with the bridge, a state file, a handler. Gone afterwards.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CniHandler, type CniHandlerDeps } from '#/agent/cni-handler.ts'
import { EndpointStore } from '#/agent/endpoints.ts'
import { type PodNetwork, unwirePod } from '#/agent/pod-network.ts'
import { VethRemoval } from '#/agent/veth-removal.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type CniOperation, type CniReply, type CniResult, encodeResult, parseCniRequest } from '#/wire/cni/index.ts'
import { TestNetns } from './namespace.ts'

/** A /29 has room for five pods. */
export const podNetwork: PodNetwork = {
  podCIDRs: [Prefix.parse('10.244.1.0/29'), Prefix.parse('fd10:244:0:1::/64')],
  overlay: [{ dst: Prefix.parse('10.244.0.0/16'), mtuBytes: 1450 }],
  deviceMtuBytes: 1500,
}

/** Deletes veths within the call, so that a test can look at once; how the agent does it is veth-removal.test.ts's. */
export function atOnce(netlink: Netlink): CniHandlerDeps['removal'] {
  const flush = (): void => {
    using aside = new AsyncNetlink()
    new VethRemoval({ netlink, aside, log: silent }).flush()
  }
  return { unplug: (pod) => unwirePod(netlink, pod), flush }
}

export type RequestOptions = {
  readonly config?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
}

/** One CNI call about the interface eth0, as the shim brings it. */
export function request(
  command: string,
  id: string,
  netns: string,
  { config, env }: RequestOptions = {},
): CniOperation {
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
  assert.ok(parsed.kind !== 'error' && parsed.kind !== 'version', JSON.stringify(parsed))
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
  trouble: string | undefined
  readonly handler: CniHandler

  constructor({ stateDir = this.folder, mayLack = false }: { stateDir?: string; mayLack?: boolean } = {}) {
    this.store = new EndpointStore(join(stateDir, 'endpoints.sqlite'), { coolDownMs: 0, mayLack })
    this.handler = new CniHandler({
      netlink: this.netlink,
      store: this.store,
      podNetwork: () => this.network,
      removal: atOnce(this.netlink),
      trouble: () => this.trouble,
      onChange() {},
      log: silent,
    })
    this.host.sh(`ip link add name cw-br0 type bridge; ip link set cw-br0 up
      ip addr add 10.244.1.1/29 dev cw-br0; ip addr add fd10:244:0:1::1/64 dev cw-br0 nodad`)
  }

  call(command: string, id: string, netns: string, options: RequestOptions = {}): CniReply {
    return this.handler.handle(request(command, id, netns, options))
  }

  /** An ADD that must succeed. */
  add(id: string, netns: string, options: RequestOptions = {}): CniResult {
    const reply = this.call('ADD', id, netns, options)
    assert.ok(reply.kind === 'result', messageIn(reply))
    return reply.result
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]()
    this.netlink[Symbol.dispose]()
    this.host[Symbol.dispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
