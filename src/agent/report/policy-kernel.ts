// Whether the kernel enforces now what the form says of a pod, and what it has counted: not that it should, but that it does.
import { type KernelReport } from '#/api/schemas/policy.ts'
import { messageOf } from '#/lib/log.ts'
import { policyTableName } from '#/model/names.ts'
import { classChain, toClassesChain } from '#/plan/policy/names.ts'
import { type PolicyCounters } from '#/plan/policy/counters.ts'
import { type LocalPodForm } from '#/policy/form.ts'
import { type Direction } from '#/policy/policy.ts'
import { type AddrInKernel, type PodInKernel } from '#/reconcile/policy/pod-in-kernel.ts'
import { type PolicySources } from './policy-sources.ts'

const table = `table inet ${policyTableName}`

type Found = { readonly inKernel: PodInKernel; readonly counters: PolicyCounters }

function deniedText(denied: number, isAudited: boolean): string {
  return `${denied} ${denied === 1 ? 'packet' : 'packets'} ${isAudited ? 'that it would deny' : 'denied'}`
}

/** What is wrong with one of the pod's addresses; undefined when it is as it should be. */
function fault(each: AddrInKernel, wanted: string | undefined): string | undefined {
  const { direction, addr, chain, isChainThere } = each
  if (chain === wanted)
    return wanted === undefined || isChainThere ? undefined : `${table} has no rules in chain ${wanted}`
  if (chain === undefined)
    return `${table} has ${addr} in none of the sets of its chain ${toClassesChain(direction, addr.family)}`
  return `${table} leads ${addr} to chain ${chain}, and ${wanted === undefined ? 'no policy selects the pod' : `not to ${wanted}`}`
}

function reportOf(local: LocalPodForm, direction: Direction, { inKernel, counters }: Found): KernelReport | undefined {
  const id = local[direction]
  const wanted = id === undefined ? undefined : classChain(direction, id)
  if (wanted !== undefined && inKernel.obstacle !== undefined) return { isThere: false, text: inKernel.obstacle }
  const own = inKernel.addrs.filter((each) => each.direction === direction)
  const faults = own.flatMap((each) => fault(each, wanted) ?? [])
  if (faults.length > 0) return { isThere: false, text: faults.join('; ') }
  if (wanted === undefined) return undefined
  const counted = counters.denied.filter((each) => each.class === id && each.direction === direction)
  const denied = counted.reduce((sum, { packets }) => sum + packets, 0)
  const isAudited = counted.some((each) => each.isAudited)
  return { isThere: true, text: `${table}, chain ${wanted}: ${deniedText(denied, isAudited)}`, denied }
}

/** For a pod of this node; undefined when nothing applies to it, and the kernel has nothing for it. Never rejects. */
export async function kernelReport(
  sources: PolicySources,
  pod: string,
  direction: Direction,
): Promise<KernelReport | undefined> {
  const local = [...sources.form().locals.values()].find((each) => each.pod === pod)
  if (local === undefined) return { isThere: false, text: `${sources.nodeName} knows no interface of ${pod}` }
  try {
    const [inKernel, counters] = await Promise.all([sources.podInKernel(local.addrs), sources.counters()])
    return reportOf(local, direction, { inKernel, counters })
  } catch (error) {
    return { isThere: false, text: messageOf(error) }
  }
}
