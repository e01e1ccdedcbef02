// Objects that change while policies hold.
import { byLabel, labels, namespacesAt, networkPolicy, podsAt, put, scenario, type Spec } from '../model.ts'

const ingressFrom = (...from: readonly Spec[]): Spec => ({
  podSelector: {},
  policyTypes: ['Ingress'],
  ingress: [{ from }],
})
const deny = { podSelector: {}, policyTypes: ['Ingress'] }

export const changes = [
  scenario(
    'a policy comes and goes',
    [[put(networkPolicy('x/deny', deny))], { 'y/a x/a tcp 80': false }],
    [[{ drop: 'networkpolicy/x/deny' }], { 'y/a x/a tcp 80': true }],
    [[put(networkPolicy('x/deny', deny))], { 'y/a x/a tcp 80': false }],
  ),
  scenario(
    'a rule is added and removed',
    [[put(networkPolicy('x/in', deny))], { 'y/a x/a tcp 80': false }],
    [
      [put(networkPolicy('x/in', ingressFrom(namespacesAt({ ns: 'y' }))))],
      { 'y/a x/a tcp 80': true, 'z/a x/a tcp 80': false },
    ],
    [[put(networkPolicy('x/in', deny))], { 'y/a x/a tcp 80': false }],
  ),
  scenario(
    'a policy selects other pods',
    [
      [put(networkPolicy('x/deny', { ...deny, podSelector: labels({ pod: 'a' }) }))],
      { 'y/a x/a tcp 80': false, 'y/a x/b tcp 80': true },
    ],
    [
      [put(networkPolicy('x/deny', { ...deny, podSelector: labels({ pod: 'b' }) }))],
      { 'y/a x/a tcp 80': true, 'y/a x/b tcp 80': false },
    ],
  ),
  scenario(
    'a policy changes its direction',
    [[put(networkPolicy('x/deny', deny))], { 'y/a x/a tcp 80': false, 'x/a y/a tcp 80': true }],
    [
      [put(networkPolicy('x/deny', { podSelector: {}, policyTypes: ['Egress'] }))],
      { 'y/a x/a tcp 80': true, 'x/a y/a tcp 80': false },
    ],
  ),
  scenario(
    'a pod gets the label that a policy selects',
    [[put(networkPolicy('x/deny', { ...deny, podSelector: labels({ tier: 'db' }) }))], { 'y/a x/a tcp 80': true }],
    [[{ relabel: 'x/a', labels: { pod: 'a', tier: 'db' } }], { 'y/a x/a tcp 80': false, 'y/a x/b tcp 80': true }],
    [[{ relabel: 'x/a', labels: { pod: 'a' } }], { 'y/a x/a tcp 80': true }],
  ),
  scenario(
    'a peer gets the label that a rule allows',
    [
      [put(networkPolicy('x/in', ingressFrom({ namespaceSelector: {}, ...podsAt({ role: 'client' }) })))],
      { 'y/a x/a tcp 80': false },
    ],
    [[{ relabel: 'y/a', labels: { pod: 'a', role: 'client' } }], { 'y/a x/a tcp 80': true, 'y/b x/a tcp 80': false }],
    [
      [
        { relabel: 'z/b', labels: { pod: 'b', role: 'client' } },
        { relabel: 'y/a', labels: { pod: 'a' } },
      ],
      { 'y/a x/a tcp 80': false, 'z/b x/a tcp 80': true },
    ],
  ),
  scenario(
    'a label that a rule excludes',
    [
      [
        put(
          networkPolicy(
            'x/in',
            ingressFrom({ namespaceSelector: {}, podSelector: byLabel('blocked', 'DoesNotExist') }),
          ),
        ),
      ],
      { 'y/a x/a tcp 80': true },
    ],
    [[{ relabel: 'y/a', labels: { pod: 'a', blocked: '' } }], { 'y/a x/a tcp 80': false, 'y/b x/a tcp 80': true }],
  ),
  scenario(
    'a namespace changes its labels',
    [[put(networkPolicy('x/in', ingressFrom(namespacesAt({ team: 'red' }))))], { 'y/a x/a tcp 80': false }],
    [
      [{ namespace: 'y', labels: { team: 'red' } }],
      { 'y/a x/a tcp 80': true, 'y/c x/b udp 81': true, 'z/a x/a tcp 80': false },
    ],
    [
      [
        { namespace: 'y', labels: { team: 'blue' } },
        { namespace: 'z', labels: { team: 'red' } },
      ],
      { 'y/a x/a tcp 80': false, 'z/a x/a tcp 80': true },
    ],
  ),
  scenario(
    'a pod is made anew, with other addresses',
    [
      [
        put(networkPolicy('x/in', ingressFrom(namespacesAt({ ns: 'y' })))),
        put(networkPolicy('y/deny', { ...deny, podSelector: labels({ pod: 'b' }) })),
      ],
      { 'y/a x/a tcp 80': true, 'x/a y/b tcp 80': false },
    ],
    [
      [{ renew: 'y/a' }, { renew: 'y/b' }],
      { 'y/a x/a tcp 80': true, 'z/a x/a tcp 80': false, 'x/a y/b tcp 80': false, 'x/a y/a tcp 80': true },
    ],
    [[{ renew: 'x/a' }, { renew: 'z/a' }], { 'y/a x/a tcp 80': true, 'z/a x/a tcp 80': false }],
  ),
  scenario('a pod that has ended counts for nothing', [
    [
      { ended: 'y/job', addrsOf: 'z/a', labels: { role: 'client' } },
      put(networkPolicy('x/in', ingressFrom({ namespaceSelector: {}, ...podsAt({ role: 'client' }) }))),
    ],
    { 'z/a x/a tcp 80': false, 'y/a x/a tcp 80': false },
  ]),
  scenario(
    'the last policy of several goes',
    [
      [put(networkPolicy('x/deny', deny)), put(networkPolicy('y/deny', deny))],
      { 'z/a x/a tcp 80': false, 'z/a y/a tcp 80': false },
    ],
    [[{ drop: 'networkpolicy/x/deny' }], { 'z/a x/a tcp 80': true, 'z/a y/a tcp 80': false }],
    [[{ drop: 'networkpolicy/y/deny' }], { 'z/a x/a tcp 80': true, 'z/a y/a tcp 80': true }],
  ),
  scenario(
    'an audited namespace lets through',
    [
      [
        put(networkPolicy('x/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })),
        { namespace: 'x', annotations: { 'causeway.dev/network-policy': 'audit' } },
      ],
      { 'y/a x/a tcp 80': true, 'x/a z/a udp 80': true },
    ],
    [[{ namespace: 'x' }], { 'y/a x/a tcp 80': false, 'x/a z/a udp 80': false }],
  ),
]
