// Removes everything of Causeway's from a namespace's kernel, with no state but the marks of ownership.
import { NftClient } from '#/kernel/nftables.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Logger } from '#/lib/log.ts'
import { emptyNetwork } from '#/model/network.ts'
import { type PlannedChange, Reconciler } from '#/reconcile/reconciler.ts'
import { allDrivers } from '../network/drivers.ts'

/** In the calling thread's namespace. Returns what was, or with `dryRun` would be, removed, and how much failed. */
export async function clean(
  options: { dryRun: boolean },
  log: Logger,
): Promise<{ changes: PlannedChange[]; failed: number }> {
  using netlink = new Netlink()
  using nftables = new NftClient()
  // nothing is in use: every pod veth is to go
  const drivers = allDrivers(netlink, nftables, { isInUse: () => false, rewire() {} })
  const reconciler = new Reconciler({ netlink, drivers, log, nowMs: Date.now })
  const changes = await reconciler.preview(emptyNetwork, { isComplete: true })
  if (options.dryRun) return { changes, failed: 0 }
  const { failed } = await reconciler.apply(emptyNetwork, { isComplete: true })
  return { changes, failed }
}
