// Which pods a NetworkPolicy selects, and for which directions.
import { byLabel, labels, networkPolicy, put, scenario } from '../model.ts'

const ingressAll = { podSelector: {}, policyTypes: ['Ingress'] }
const egressAll = { podSelector: {}, policyTypes: ['Egress'] }

export const isolation = [
  scenario('no policy', [[], { 'x/a y/b tcp 80': true, 'z/a x/a icmp 0': true, 'y/c z/c sctp 81': true }]),
  scenario('deny all ingress of a namespace', [
    [put(networkPolicy('x/deny', ingressAll))],
    {
      'y/a x/a tcp 80': false,
      'x/b x/a udp 81': false,
      'z/a x/a sctp 80': false,
      'x/a y/a tcp 80': true,
      'node-1 x/a tcp 80': true,
      'node-2 x/a tcp 80': false,
      'world x/a udp 80': false,
    },
  ]),
  scenario('deny all egress of a namespace', [
    [put(networkPolicy('x/deny', egressAll))],
    {
      'x/a y/a tcp 80': false,
      'x/a x/b tcp 80': false,
      'x/a z/b icmp 0': false,
      'y/a x/a tcp 80': true,
      'x/a node-1 tcp 80': true,
      'x/a node-2 tcp 80': false,
      'x/a world udp 80': false,
    },
  ]),
  scenario('deny both directions', [
    [put(networkPolicy('x/deny', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }))],
    { 'x/a x/b tcp 80': false, 'y/a x/a tcp 80': false, 'x/a y/a tcp 80': false, 'y/a y/b tcp 80': true },
  ]),
  scenario('policyTypes absent: ingress alone without egress rules', [
    [put(networkPolicy('x/deny', { podSelector: {} }))],
    { 'y/a x/a tcp 80': false, 'x/a y/a tcp 80': true },
  ]),
  scenario('policyTypes absent: both with an empty list of egress rules', [
    [put(networkPolicy('x/deny', { podSelector: {}, egress: [] }))],
    // an empty list is no egress section (defaults of networking/v1)
    { 'y/a x/a tcp 80': false, 'x/a y/a tcp 80': true },
  ]),
  scenario('policyTypes absent: both with an egress rule', [
    [put(networkPolicy('x/out', { podSelector: {}, egress: [{ to: [{ podSelector: {} }] }] }))],
    { 'y/a x/a tcp 80': false, 'x/a x/b tcp 80': false, 'x/a y/a tcp 80': false },
  ]),
  scenario('policyTypes Egress: ingress rules count for nothing', [
    [put(networkPolicy('x/out', { podSelector: {}, policyTypes: ['Egress'], ingress: [], egress: [{}] }))],
    { 'y/a x/a tcp 80': true, 'x/a y/a tcp 80': true },
  ]),
  scenario('allow all ingress', [
    [put(networkPolicy('x/all', { podSelector: {}, ingress: [{}] }))],
    { 'y/a x/a tcp 80': true, 'z/a x/a icmp 0': true, 'world x/a tcp 81': true },
  ]),
  scenario('allow all egress', [
    [put(networkPolicy('x/all', { podSelector: {}, policyTypes: ['Egress'], egress: [{}] }))],
    { 'x/a y/a tcp 80': true, 'x/a z/a icmp 0': true, 'x/a world tcp 81': true },
  ]),
  scenario('allow all beats deny all', [
    [
      put(networkPolicy('x/deny', ingressAll)),
      put(networkPolicy('x/all', { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] })),
    ],
    { 'y/a x/a tcp 80': true, 'z/c x/c udp 81': true },
  ]),
  scenario('empty peers allow all, like absent ones', [
    [put(networkPolicy('x/all', { podSelector: {}, ingress: [{ from: [], ports: [] }] }))],
    { 'y/a x/a tcp 80': true, 'world x/a sctp 80': true, 'z/a x/a icmp 0': true },
  ]),
  scenario('one pod by a label', [
    [put(networkPolicy('x/deny', { ...ingressAll, podSelector: labels({ pod: 'a' }) }))],
    { 'y/a x/a tcp 80': false, 'y/a x/b tcp 80': true, 'x/a x/b tcp 80': true },
  ]),
  scenario('two labels are both demanded', [
    [put(networkPolicy('x/deny', { ...ingressAll, podSelector: labels({ pod: 'a', tier: 'front' }) }))],
    { 'y/a x/a tcp 80': true },
  ]),
  ...(
    [
      ['In', byLabel('pod', 'In', 'a', 'b'), true, true, false],
      ['NotIn', byLabel('pod', 'NotIn', 'a'), false, true, true],
      ['NotIn of a label that is absent', byLabel('tier', 'NotIn', 'front'), true, true, true],
      ['Exists', byLabel('pod', 'Exists'), true, true, true],
      ['DoesNotExist', byLabel('pod', 'DoesNotExist'), false, false, false],
    ] as const
  ).map(([operator, podSelector, a, b, c]) =>
    scenario(`pods by ${operator}`, [
      [put(networkPolicy('x/deny', { ...ingressAll, podSelector }))],
      { 'y/a x/a tcp 80': !a, 'y/a x/b tcp 80': !b, 'z/a x/c udp 80': !c },
    ]),
  ),
  scenario('expressions and labels are both demanded', [
    [
      put(
        networkPolicy('x/deny', {
          ...ingressAll,
          podSelector: { ...labels({ pod: 'a' }), ...byLabel('pod', 'NotIn', 'a') },
        }),
      ),
    ],
    { 'y/a x/a tcp 80': true, 'y/a x/b tcp 80': true },
  ]),
  scenario('policies of several namespaces', [
    [put(networkPolicy('x/deny', egressAll)), put(networkPolicy('y/deny', ingressAll))],
    { 'x/a y/a tcp 80': false, 'x/a z/a tcp 80': false, 'z/a y/a tcp 80': false, 'y/a z/a tcp 80': true },
  ]),
  scenario(
    'egress of one and ingress of the other must both allow',
    [
      [
        put(networkPolicy('x/out', { ...egressAll, egress: [{ to: [{ namespaceSelector: labels({ ns: 'y' }) }] }] })),
        put(
          networkPolicy('y/in', { ...ingressAll, ingress: [{ from: [{ namespaceSelector: labels({ ns: 'z' }) }] }] }),
        ),
      ],
      { 'x/a y/a tcp 80': false, 'z/a y/a tcp 80': true, 'x/a z/a tcp 80': false },
    ],
    [
      [
        put(
          networkPolicy('y/in', { ...ingressAll, ingress: [{ from: [{ namespaceSelector: labels({ ns: 'x' }) }] }] }),
        ),
      ],
      { 'x/a y/a tcp 80': true, 'z/a y/a tcp 80': false },
    ],
  ),
]
