// The policies of the fuzzer's pods: rules of every kind, and ports on both sides of their ranges.
import { TestForm } from '#/plan/policy/testing/form.ts'
import { isDeniedOf, type Question } from '#/plan/testing/policy-lookup.ts'
import { type Form } from '#/policy/form.ts'
import { type Direction } from '#/policy/policy.ts'
import { policedPods } from './policed-world.ts'
import { pods, type WorldPod } from './world.ts'

const addrsOf = ({ addr4, addr6 }: WorldPod): string[] => [addr4, addr6]
const udpRange = { ranges: [{ protocol: 'UDP', first: 4096, last: 5000 } as const] }
const [client, server, limited] = ['cwv0', 'cwv1', 'cwv2']

export const fuzzedForm: Form = new TestForm()
  .pods('servers', ...addrsOf(pods.server), ...addrsOf(pods.narrow))
  .blocks('others', '10.244.3.0/24', '10.244.4.0/22', 'fd10:244:0:3::/64', 'fd10:244:0:4::/62')
  .policy(
    'no-others',
    'Admin',
    'egress',
    { action: 'pass', peers: ['servers'] },
    { action: 'deny', peers: ['others'], ports: udpRange },
  )
  .policy('to-servers', 'NetworkPolicy', 'egress', { peers: ['servers'] }, { ports: udpRange })
  .policy('from-others', 'NetworkPolicy', 'ingress', { peers: ['others'], ports: udpRange })
  .policy('no-servers', 'Baseline', 'ingress', { action: 'deny', peers: ['servers'] })
  .class('out', 'egress', ['no-others', 'to-servers'])
  .class('in', 'ingress', ['from-others'])
  .class('quiet', 'ingress', ['no-servers'])
  .local(client, addrsOf(pods.client), { egress: 'out', ingress: 'in' })
  .local(server, addrsOf(pods.server), { ingress: 'quiet' })
  .local(limited, addrsOf(pods.limited), { ingress: 'in' })

const deviceOf = new Map([...policedPods].map(([device, pod]) => [pod, device]))

/** Whether the policies of a pod deny the packet. */
export function denies(form: Form, pod: WorldPod, direction: Direction, question: Question): boolean {
  const local = form.locals.get(deviceOf.get(pod) ?? '')
  return local !== undefined && isDeniedOf(form, local, direction, question)
}
