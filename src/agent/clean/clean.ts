// Removes all of Causeway's objects from a network namespace. It recognises them by their marks of ownership, without the state file.
import { EbpfState } from '#/datapath/programs.ts'
import { NftClient } from '#/kernel/nftables.ts'
import { listLinks } from '#/kernel/links.ts'
import { Netlink } from '#/kernel/netlink.ts'
import { type Logger } from '#/lib/log.ts'
import { isOurLink, isOwnLink } from '#/model/names.ts'
import { emptyNetwork } from '#/model/network.ts'
import { PolicyLeftoversDriver } from '#/reconcile/policy/leftovers-driver.ts'
import { type PlannedChange, Reconciler } from '#/reconcile/reconciler.ts'
import { allDrivers } from '../network/drivers.ts'

/**
 * Cleans the calling thread's namespace, and the folder in a bpffs in which its programs are pinned. Returns the changes that were made, or with `dryRun` would be made, how many failed, and the names
 * of the devices of others that have names as Causeway's have, which stay.
 */
export async function clean(
  options: { dryRun: boolean; bpfDir: string },
  log: Logger,
): Promise<{ changes: PlannedChange[]; failed: number; foreign: string[] }> {
  using netlink = new Netlink()
  using nftables = new NftClient()
  // no veth counts as in use, so every pod's veth is removed
  using ebpf = new EbpfState({ folder: options.bpfDir, isThorough: true })
  // deletions go the other way round: rules stay for as long as there are pods
  const drivers = [
    new PolicyLeftoversDriver(nftables),
    ...allDrivers(netlink, nftables, { isInUse: () => false, rewire() {} }, ebpf),
  ]
  const reconciler = new Reconciler({ netlink, drivers, log, nowMs: Date.now })
  const changes = await reconciler.preview(emptyNetwork, { isComplete: true })
  const foreign = listLinks(netlink).flatMap((link) => (isOurLink(link.name) && !isOwnLink(link) ? [link.name] : []))
  if (options.dryRun) return { changes, failed: 0, foreign }
  const { failed } = await reconciler.apply(emptyNetwork, { isComplete: true })
  return { changes, failed, foreign }
}
