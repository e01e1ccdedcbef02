// What the controller would tell of the pod CIDRs of all nodes, for who has the Node objects and does not run it. Which of two nodes with one pod CIDR is
// in the wrong agents know better, and tell. Pure.
import { type Family, Prefix } from '#/lib/addr.ts'
import { type KubeNode, podCIDRsOf } from '#/model/kubernetes.ts'
import { oneOfEach, type Problem } from '#/model/problems.ts'
import { planPodCidrs } from '#/plan/pod-cidrs.ts'
import { podCidrProblem } from './problem-reports.ts'

const usualMaskSizes = { 4: 24, 6: 64 } as const

/** The size that most pod CIDRs of a family have: what the controller is told is known to it alone. */
function maskSize(family: Family, held: readonly Prefix[]): number {
  const lengths = Map.groupBy(
    held.filter((cidr) => cidr.family === family).map(({ length }) => length),
    (length) => length,
  )
  const [most] = [...lengths].toSorted(([, one], [, other]) => other.length - one.length)
  return most?.[0] ?? usualMaskSizes[family]
}

export function podCidrProblemsIn(nodes: readonly KubeNode[], clusterCIDRs: readonly Prefix[]): Problem[] {
  const holders = nodes.map((node) => {
    const { prefixes, problems } = podCIDRsOf(node)
    return { name: node.metadata.name, held: prefixes, mayAllocate: problems.length === 0 }
  })
  const held = holders.flatMap((each) => each.held)
  const sizeOf = (family: Family): number => {
    const shortest = Math.max(...clusterCIDRs.filter((cidr) => cidr.family === family).map(({ length }) => length))
    return Math.max(maskSize(family, held), shortest)
  }
  const { problems } = planPodCidrs({ clusterCIDRs, nodeMaskSizes: { 4: sizeOf(4), 6: sizeOf(6) } }, holders)
  return oneOfEach(problems.filter(({ kind }) => kind !== 'overlap').map(podCidrProblem))
}
