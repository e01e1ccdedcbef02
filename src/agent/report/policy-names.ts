// Names for addresses, and addresses for names, as the agent knows the cluster. Pure.
import { Addr } from '#/lib/addr.ts'
import { someOf } from '#/lib/some-of.ts'
import { type PolicyPod, type PolicyView } from '#/policy/cluster.ts'
import { ruleRefText } from '#/policy/policy.ts'
import { type Decision } from '#/policy/verdict.ts'
import { nodeAt, podText } from '#/policy/words.ts'

/** NAMESPACE/NAME of the pod that has the address, node/NAME, or the address. */
export function endName(view: PolicyView, addr: Addr): string {
  const pod = view.podAt(addr)
  if (pod !== undefined) return podText(pod)
  const node = nodeAt(view, addr)
  return node === undefined ? `${addr}` : `node/${node}`
}

/** Which policies deny, in the fewest words. */
export function byText(decision: Decision): string {
  switch (decision.kind) {
    case 'rule':
      return ruleRefText(decision.rule)
    case 'isolated':
      return someOf(decision.by)
    case 'noPod':
    case 'ownNode':
    case 'itself':
    case 'default':
      return 'no policy'
  }
}

/** The addresses of an end that somebody names, or why there are none. */
export type Named =
  | { readonly addrs: readonly Addr[] }
  /** `isName`: nothing that is known here has the name. */
  | { readonly unknown: string; readonly isName?: true }

function podsNamed(view: PolicyView, text: string): PolicyPod[] {
  if (text.includes('/')) return [view.pods.get(text)].filter((each) => each !== undefined)
  const inDefault = view.pods.get(`default/${text}`)
  if (inDefault !== undefined) return [inDefault]
  return [...view.pods.values()].filter(({ name }) => name === text)
}

/** Of a node that sends, the addresses of its gateways come first: pods see its own processes by those. */
function addrsOfNode(view: PolicyView, name: string, role: Role): readonly Addr[] | undefined {
  const addrs = view.nodes.get(name)
  return role === 'sender' ? addrs?.toReversed() : addrs
}

type Role = 'sender' | 'receiver'

/** An address, a pod as NAMESPACE/NAME, as the name of one in `default` or of the only one, or a node. */
export function resolveEnd(view: PolicyView, text: string, role: Role): Named {
  const addr = Addr.tryParse(text)
  if (addr !== undefined) return { addrs: [addr] }
  const pods = podsNamed(view, text)
  const [pod, ...others] = pods
  if (others.length > 0)
    return { unknown: `"${text}" is the name of several pods: ${someOf(pods.map(podText))}; say which` }
  if (pod?.hasEnded === true) return { unknown: `pod ${podText(pod)} has ended: policies mean no pod that has` }
  if (pod !== undefined && pod.addrs.length === 0) return { unknown: `pod ${podText(pod)} has no address yet` }
  if (pod !== undefined) return { addrs: (pod.isHostNetwork && addrsOfNode(view, pod.node, role)) || pod.addrs }
  const node = addrsOfNode(view, text, role)
  if (node !== undefined) return { addrs: node }
  return {
    unknown: `"${text}" is no address, no pod (NAMESPACE/NAME, or NAME of one in default or of the only one) and no node`,
    isName: true,
  }
}
