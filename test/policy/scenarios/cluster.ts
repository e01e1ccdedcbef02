// ClusterNetworkPolicy: tiers, priorities, and its place before and after NetworkPolicy.
import { byLabel, clusterPolicy, labels, networkPolicy, put, scenario, type Spec } from '../model.ts'

const all = { namespaces: {} }
const inNamespace = (name: string): Spec => ({ namespaces: labels({ ns: name }) })
const pods = (namespace: string, pod: string): Spec => ({
  pods: { namespaceSelector: labels({ ns: namespace }), podSelector: labels({ pod }) },
})
const rule = (action: string, ...peers: readonly Spec[]) => ({ action, peers })
type Rule = ReturnType<typeof rule> & { readonly protocols?: readonly Spec[]; readonly name?: string }

function spec(
  tier: string,
  priority: number,
  subject: Spec,
  { ingress, egress }: { ingress?: readonly Rule[]; egress?: readonly Rule[] },
): Spec {
  const written = (rules: readonly Rule[], key: 'from' | 'to') =>
    rules.map(({ peers, ...rest }) => ({ ...rest, [key]: peers }))
  return {
    tier,
    priority,
    subject,
    ...(ingress && { ingress: written(ingress, 'from') }),
    ...(egress && { egress: written(egress, 'to') }),
  }
}
const admin = (name: string, priority: number, subject: Spec, rules: Parameters<typeof spec>[3]) =>
  put(clusterPolicy(name, spec('Admin', priority, subject, rules)))
const baseline = (name: string, priority: number, subject: Spec, rules: Parameters<typeof spec>[3]) =>
  put(clusterPolicy(name, spec('Baseline', priority, subject, rules)))

const denyIn = put(networkPolicy('x/deny', { podSelector: {}, policyTypes: ['Ingress'] }))
const allowIn = put(networkPolicy('x/allow', { podSelector: {}, ingress: [{}] }))

export const cluster = [
  scenario('Admin denies ingress from a namespace', [
    [admin('deny', 10, inNamespace('x'), { ingress: [rule('Deny', inNamespace('y'))] })],
    { 'y/a x/a tcp 80': false, 'z/a x/a tcp 80': true, 'world x/a tcp 80': true, 'x/a y/a tcp 80': true },
  ]),
  scenario('Admin denies egress to pods', [
    [admin('deny', 10, inNamespace('x'), { egress: [rule('Deny', pods('z', 'b'))] })],
    { 'x/a z/b tcp 80': false, 'x/a z/a tcp 80': true, 'y/a z/b tcp 80': true },
  ]),
  scenario('Admin accepts what a NetworkPolicy denies', [
    [denyIn, admin('accept', 10, inNamespace('x'), { ingress: [rule('Accept', inNamespace('y'))] })],
    { 'y/a x/a tcp 80': true, 'z/a x/a tcp 80': false },
  ]),
  scenario('Admin denies what a NetworkPolicy allows', [
    [allowIn, admin('deny', 10, inNamespace('x'), { ingress: [rule('Deny', inNamespace('y'))] })],
    { 'y/a x/a tcp 80': false, 'z/a x/a tcp 80': true },
  ]),
  scenario('Admin passes to the NetworkPolicy', [
    [denyIn, admin('pass', 10, inNamespace('x'), { ingress: [rule('Pass', inNamespace('y')), rule('Accept', all)] })],
    { 'y/a x/a tcp 80': false, 'z/a x/a tcp 80': true },
  ]),
  scenario('a rule that stands first decides', [
    [
      admin('first', 10, inNamespace('x'), {
        ingress: [rule('Accept', pods('y', 'a')), rule('Deny', inNamespace('y'))],
      }),
    ],
    { 'y/a x/a tcp 80': true, 'y/b x/a tcp 80': false },
  ]),
  scenario(
    'a lower priority value decides',
    [
      [
        admin('later', 20, inNamespace('x'), { ingress: [rule('Deny', inNamespace('y'))] }),
        admin('sooner', 5, inNamespace('x'), { ingress: [rule('Accept', pods('y', 'a'))] }),
      ],
      { 'y/a x/a tcp 80': true, 'y/b x/a tcp 80': false },
    ],
    [[admin('later', 1, inNamespace('x'), { ingress: [rule('Deny', inNamespace('y'))] })], { 'y/a x/a tcp 80': false }],
  ),
  scenario('Pass skips the rest of its tier', [
    [
      admin('pass', 5, inNamespace('x'), { ingress: [rule('Pass', pods('y', 'a'))] }),
      admin('deny', 10, inNamespace('x'), { ingress: [rule('Deny', inNamespace('y'))] }),
    ],
    { 'y/a x/a tcp 80': true, 'y/b x/a tcp 80': false },
  ]),
  scenario('Baseline denies where no NetworkPolicy selects', [
    [baseline('deny', 10, all, { ingress: [rule('Deny', all)] })],
    { 'y/a x/a tcp 80': false, 'x/a z/a tcp 80': true, 'world x/a tcp 80': true },
  ]),
  scenario('a NetworkPolicy overrides the Baseline', [
    [baseline('deny', 10, all, { ingress: [rule('Deny', all)] }), allowIn],
    { 'y/a x/a tcp 80': true, 'x/a y/a tcp 80': false },
  ]),
  scenario('a NetworkPolicy for the other direction does not', [
    [
      baseline('deny', 10, all, { ingress: [rule('Deny', all)] }),
      put(networkPolicy('x/out', { podSelector: {}, policyTypes: ['Egress'], egress: [{}] })),
    ],
    { 'y/a x/a tcp 80': false },
  ]),
  scenario('Baseline accepts before it denies', [
    [baseline('b', 10, inNamespace('x'), { ingress: [rule('Accept', pods('y', 'a')), rule('Deny', all)] })],
    { 'y/a x/a tcp 80': true, 'y/b x/a tcp 80': false, 'x/b x/a tcp 80': false },
  ]),
  scenario('Baseline passes: allowed', [
    [baseline('b', 10, inNamespace('x'), { ingress: [rule('Pass', pods('y', 'a')), rule('Deny', all)] })],
    { 'y/a x/a tcp 80': true, 'y/b x/a tcp 80': false },
  ]),
  scenario('Admin passes over the NetworkPolicies that there are not to the Baseline', [
    [
      admin('pass', 5, inNamespace('x'), { ingress: [rule('Pass', pods('y', 'a')), rule('Accept', inNamespace('y'))] }),
      baseline('deny', 10, inNamespace('x'), { ingress: [rule('Deny', all)] }),
    ],
    { 'y/a x/a tcp 80': false, 'y/b x/a tcp 80': true, 'x/b x/a tcp 80': false },
  ]),
  scenario('ports of TCP, UDP and SCTP', [
    [
      admin('ports', 10, inNamespace('x'), {
        ingress: [
          {
            ...rule('Accept', all),
            protocols: [
              { tcp: { destinationPort: { number: 80 } } },
              { udp: { destinationPort: { range: { start: 81, end: 90 } } } },
              { sctp: {} },
            ],
          },
          rule('Deny', all),
        ],
      }),
    ],
    {
      'y/a x/a tcp 80': true,
      'y/a x/a tcp 81': false,
      'y/a x/a udp 81': true,
      'y/a x/a udp 80': false,
      'y/a x/a icmp 0': false,
    },
  ]),
  scenario('a named port of the destination', [
    [
      admin('named', 10, inNamespace('x'), {
        ingress: [{ ...rule('Accept', all), protocols: [{ destinationNamedPort: 'web' }] }, rule('Deny', all)],
        egress: [{ ...rule('Accept', all), protocols: [{ destinationNamedPort: 'web' }] }, rule('Deny', all)],
      }),
    ],
    {
      'y/a x/a tcp 80': true,
      'y/a x/b tcp 81': true,
      'y/a x/b tcp 80': false,
      'x/a z/b tcp 81': true,
      'x/a z/c tcp 81': false,
    },
  ]),
  scenario('egress to networks', [
    [
      admin('net', 10, inNamespace('x'), {
        egress: [
          rule('Accept', { networks: ['192.0.2.0/24', '2001:db8::/32'] }),
          rule('Deny', { networks: ['0.0.0.0/0', '::/0'] }),
        ],
      }),
    ],
    {
      'x/a world tcp 80': true,
      'x/a z/a tcp 80': false,
      'x/a y/a tcp 80': false,
      'x/a node-1 tcp 80': true,
      'x/a node-2 udp 80': false,
    },
  ]),
  scenario('pods passed before networks are denied', [
    [
      admin('net', 10, inNamespace('x'), {
        egress: [rule('Pass', all), rule('Deny', { networks: ['0.0.0.0/0', '::/0'] })],
      }),
    ],
    { 'x/a world tcp 80': false, 'x/a z/a tcp 80': true },
  ]),
  scenario('subjects by an expression', [
    [admin('deny', 0, { namespaces: byLabel('ns', 'NotIn', 'x') }, { ingress: [rule('Deny', inNamespace('z'))] })],
    { 'z/a x/a tcp 80': true, 'z/a y/a tcp 80': false },
  ]),
  scenario('a policy without rules does nothing', [
    [admin('none', 0, all, {})],
    { 'y/a x/a tcp 80': true, 'x/a z/a tcp 80': true },
  ]),
  scenario(
    'a policy moves from Admin to Baseline',
    [[allowIn, admin('deny', 10, inNamespace('x'), { ingress: [rule('Deny', all)] })], { 'y/a x/a tcp 80': false }],
    [[baseline('deny', 10, inNamespace('x'), { ingress: [rule('Deny', all)] })], { 'y/a x/a tcp 80': true }],
    [[{ drop: 'networkpolicy/x/allow' }], { 'y/a x/a tcp 80': false }],
    [[{ drop: 'clusternetworkpolicy/deny' }], { 'y/a x/a tcp 80': true }],
  ),
  scenario('Admin of both directions and an audited namespace', [
    [
      admin('deny', 10, inNamespace('x'), {
        ingress: [rule('Deny', inNamespace('y'))],
        egress: [rule('Deny', inNamespace('y'))],
      }),
      { namespace: 'x', annotations: { 'causeway.dev/network-policy': 'audit' } },
    ],
    { 'y/a x/a tcp 80': true, 'x/a y/a tcp 80': true },
  ]),
]
