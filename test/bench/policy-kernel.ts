// When a node's kernel has another form of the policy tables: as the kernel announces changes of nftables.
import { NftClient } from '#/kernel/nftables.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { policyTableName } from '#/model/names.ts'
import { podSet } from '#/plan/policy/names.ts'
import { podsId } from '#/policy/index/ids.ts'
import { NotificationSocket } from '#/sys/netlink-socket.ts'
import { type Netns } from '#/sys/netns.ts'
import { monotonicMs } from './clock.ts'

const NETLINK_NETFILTER = 12
const NFNLGRP_NFTABLES = 7
/** The name of the tables, which is in every message about them. */
const tableName = Buffer.from(policyTableName)

export class PolicyChanges implements Disposable {
  readonly #socket: NotificationSocket
  #lastMs = 0
  #waiting: ((atMs: number) => void) | undefined

  constructor(netns: Netns) {
    this.#socket = netns.run(() => new NotificationSocket(NETLINK_NETFILTER, [NFNLGRP_NFTABLES]))
    void this.#follow()
  }

  async #follow(): Promise<void> {
    for (;;) {
      const datagram = await this.#socket.receive()
      if (datagram === undefined) return
      // what was dropped was too much at once, and ours are the many
      if (
        datagram !== 'overflow' &&
        !Buffer.from(datagram.buffer, datagram.byteOffset, datagram.length).includes(tableName)
      )
        continue
      this.#lastMs = monotonicMs()
      this.#waiting?.(this.#lastMs)
    }
  }

  /** When the last change was; 0 for none. */
  get lastMs(): number {
    return this.#lastMs
  }

  /** When the next change is in the kernel. Ask before what causes it. */
  async next(timeoutMs: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    this.#waiting = resolve
    const timer = setTimeout(
      () => reject(new Error(`no change of the policy tables within ${timeoutMs} ms`)),
      timeoutMs,
    )
    return promise.finally(() => {
      this.#waiting = undefined
      clearTimeout(timer)
    })
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]()
  }
}

/** How many addresses (IPv4) the kernel has in the set of all pods of a namespace, which policies have to name; 0 while there is no set. */
export async function podsInKernel(netns: Netns, namespace: string): Promise<number> {
  using client = new NftClient(netns)
  const set = podSet(podsId({ namespaces: { kind: 'name', name: namespace }, pods: [] }), 4)
  try {
    return (await client.readElements({ family: 'inet', table: policyTableName }, set)).length
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return 0
    throw error
  }
}
